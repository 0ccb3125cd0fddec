package artifact

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(libraryEnv); dir != "" {
		putForEver(dir)
	}
	// Nobody has logged in anywhere, whoever runs the tests.
	dir, err := os.MkdirTemp("", "artifact-test")
	if err != nil {
		panic(err)
	}
	if err := os.Setenv("DOCKER_CONFIG", dir); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
