package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
)

// needChromium returns the browser, or skips the test where there is none.
func needChromium(t *testing.T) (program string) {
	t.Helper()
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	t.Skip("this test needs Chromium, of the Debian package chromium-headless-shell")
	return ""
}

// hears takes what a page tells: the arguments of its calls, as an array.
func hears(said chan<- []any) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var line []any
		if err == nil && json.Unmarshal(text, &line) == nil {
			said <- line
		}
	}
}

// browse opens a page until the end of the test.
func browse(t *testing.T, program, page string) {
	t.Helper()
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
		"--user-data-dir="+t.TempDir(), page)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it is many processes
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		_ = cmd.Wait()                                      // it was killed
	})
}
