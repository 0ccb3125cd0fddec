package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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
//	login_starts           logins begun per address in login_window    30  (1 to 1000)
//	session_ttl            how long a session lasts                168h   (1m to 8760h)
//	signature_window       how far off a signature's time may be   10m    (10s to 24h)
//	rate_limit             requests per application in a window    none   (1 to 1000000000)
//	rate_window            the moving window of that               1h     (1s to 24h)
//	rotation_grace         how long a replaced secret stays good   24h    (0 to 720h)
//	apps_per_account       applications of a developer             20     (1 to 1000)
//	app_approval           of those: manual, or automatic          manual
//	schemes                what applications accept that do not    all    (token,md5,hmac-sha256,ed25519)
//	                       say it when they are made
//
// A setting that cannot be read fails every call that needs it, with a line in
// the log: a typo must not quietly weaken a limit.

func tokenTTL(r *guest.Request) (time.Duration, error) {
	return durationSetting(r, "token_ttl", 30*24*time.Hour, time.Minute, 10*365*24*time.Hour)
}

func loginWindow(r *guest.Request) (time.Duration, error) {
	return durationSetting(r, "login_window", 15*time.Minute, time.Second, 24*time.Hour)
}

func rotationGrace(r *guest.Request) (time.Duration, error) {
	return durationSetting(r, "rotation_grace", 24*time.Hour, 0, maxGrace)
}

// defaultSchemes returns the ways that an application accepts if it names none;
// nil: all of them.
func defaultSchemes(r *guest.Request) ([]string, error) {
	s := r.Config("schemes", "")
	if s == "" {
		return nil, nil
	}
	list := splitList(s)
	for _, scheme := range list {
		if !slices.Contains(allSchemes, scheme) {
			list = nil
			break
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("setting schemes: %q: want some of %s", s, strings.Join(allSchemes, ","))
	}
	return list, nil
}

// approvesAll tells whether developers need not wait for an operator.
func approvesAll(r *guest.Request) (bool, error) {
	switch s := r.Config("app_approval", "manual"); s {
	case "manual":
		return false, nil
	case "automatic":
		return true, nil
	default:
		return false, fmt.Errorf("setting app_approval: %q: want manual or automatic", s)
	}
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
	n, err := numberSetting(r, key, int64(def), 1, 1000)
	return int(n), err
}

func numberSetting(r *guest.Request, key string, def, least, most int64) (int64, error) {
	s := r.Config(key, "")
	if s == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("setting %s: %q: want a whole number from %d to %d", key, s, least, most)
	}
	return n, nil
}
