package mail

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// A login logs in by the best of the ways that a server offers and that do not need more
// than a password. Where the server may not see that, it does not.
type login struct {
	user, password string
	way            smtp.Auth
}

// Start implements smtp.Auth.
func (l *login) Start(server *smtp.ServerInfo) (way string, toServer []byte, err error) {
	for _, w := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(l.user, l.password)},
		{"SCRAM-SHA-1", smtp.ScramSHA1Auth(l.user, l.password)},
		// The session has seen to it that nobody reads along.
		{"PLAIN", smtp.PlainAuth("", l.user, l.password, server.Name, true)},
		{"LOGIN", smtp.LoginAuth(l.user, l.password, server.Name, true)},
		{"CRAM-MD5", smtp.CRAMMD5Auth(l.user, l.password)},
	} {
		for _, offered := range server.Auth {
			if strings.EqualFold(offered, w.name) {
				l.way = w.auth
				return l.way.Start(server)
			}
		}
	}
	return "", nil, errors.New("the server logs in by other ways than SCRAM, PLAIN, LOGIN and CRAM-MD5")
}

// Next implements smtp.Auth.
func (l *login) Next(fromServer []byte, more bool) (toServer []byte, err error) {
	if err = checkRounds(fromServer); err != nil {
		return nil, err
	}
	return l.way.Next(fromServer, more)
}

// maxRounds is how often a server may have a password hashed: some tenths of a second of
// a core. Nothing ends that once it has begun.
const maxRounds = 1 << 20

// checkRounds checks how often a challenge of SCRAM, "r=…,s=…,i=4096", has the password
// hashed.
func checkRounds(challenge []byte) error {
	if !bytes.HasPrefix(challenge, []byte("r=")) {
		return nil
	}
	for field := range bytes.SplitSeq(challenge, []byte(",")) {
		if rounds, ok := bytes.CutPrefix(field, []byte("i=")); ok {
			if n, err := strconv.Atoi(string(rounds)); err != nil || n < 1 || n > maxRounds {
				return fmt.Errorf("the server wants the password hashed %.20q times: want 1 to %d", rounds, maxRounds)
			}
		}
	}
	return nil
}
