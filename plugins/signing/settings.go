package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/edgeset/edgeset/abi/guest"
)

// What an operator can set for the plugin in the manifest. A duration is whole
// seconds ("3600") or has Go's units ("720h", "15m").
//
//	token_ttl              how long an access token lasts          720h   (1m to 87600h)
//	login_attempts         failed logins per id in a window        10     (1 to 1000)
//	login_attempts_remote  failed logins per address in a window   100    (1 to 1000)
//	login_window           the moving window of both               15m    (1s to 24h)
//
// A setting that cannot be read fails every call that needs it, with a line in
// the log: a typo must not quietly weaken a limit.

func tokenTTL(r *guest.Request) (time.Duration, error) {
	return durationSetting(r, "token_ttl", 30*24*time.Hour, time.Minute, 10*365*24*time.Hour)
}

func loginWindow(r *guest.Request) (time.Duration, error) {
	return durationSetting(r, "login_window", 15*time.Minute, time.Second, 24*time.Hour)
}

func durationSetting(r *guest.Request, key string, def, least, most time.Duration) (time.Duration, error) {
	s := r.Config(key, "")
	if s == "" {
		return def, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		d, err = time.ParseDuration(s + "s")
	}
	if err != nil || d < least || d > most {
		return 0, fmt.Errorf("setting %s: %q: want seconds or a duration such as 90m, from %v to %v", key, s, least, most)
	}
	return d, nil
}

func countSetting(r *guest.Request, key string, def int) (int, error) {
	s := r.Config(key, "")
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1000 {
		return 0, fmt.Errorf("setting %s: %q: want a whole number from 1 to 1000", key, s)
	}
	return n, nil
}
