package badgerstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// A logSink passes Badger's messages on, and watches for the one failure that
// Badger reports in no other way.
type logSink struct {
	log      *slog.Logger
	unsynced func() // called when the value log could not be synced
}

var _ badger.Logger = logSink{}

// valueLogUnsynced is the format of the message with which Badger's value log
// says that an fsync failed. The write that asked for it succeeds all the same.
const valueLogUnsynced = "Error while curlf sync: %v\n"

// openFailed is the format of the message with which Badger tells of an error that it
// also returns. Open tells of it, or opens once more.
const openFailed = "Received err: %v. Cleaning up..."

func (s logSink) Errorf(format string, args ...any) {
	switch format {
	case valueLogUnsynced:
		s.unsynced()
	case openFailed:
		s.Debugf(format, args...)
		return
	}
	s.log.Error("badger: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (s logSink) Warningf(format string, args ...any) {
	s.log.Warn("badger: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// Infof logs as debug: Badger tells of every file it opens.
func (s logSink) Infof(format string, args ...any) { s.Debugf(format, args...) }

func (s logSink) Debugf(format string, args ...any) {
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		s.log.Debug("badger: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
