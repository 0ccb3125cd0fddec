package mail

import (
	"context"
	"errors"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/outbox/reason"
)

// A step is how far a mail came.
type step int

const (
	atConnect step = iota
	atGreeting
	atTLS
	atLogin
	atSender
	atRecipient
	atData
	atContent
	atEnd
)

func (s step) String() string {
	return [...]string{"connection", "greeting", "TLS", "login", "sender", "recipient", "message", "message", "message"}[s]
}

// Codes of replies, by RFC 5321, RFC 4954 and RFC 6531.
const (
	closing       = 421
	needsLogin    = 530
	weakLogin     = 534
	wrongLogin    = 535
	loginUncipher = 538
	notUTF8       = 553
)

// A fault is why a mail was not taken, and when it showed.
type fault struct {
	step step
	err  error
}

// reply returns what the server said, or nil if it was something else.
func (f *fault) reply() *textproto.Error {
	if reply, ok := errors.AsType[*textproto.Error](f.err); ok {
		return reply
	}
	return nil
}

// failure turns a fault into what the outbox understands.
//
// What a server says for good of a recipient or of the mail is for good. What it says
// before it knows either is about how it is used: the operator has to set it right, and
// the mails wait for that.
func (p *pool) failure(ctx context.Context, f *fault) error {
	if f == nil {
		return nil
	}
	why := f.describe(ctx)
	if p.config.Password != "" {
		why = strings.ReplaceAll(why, p.config.Password, "***")
	}
	failure := &outbox.Failure{
		Reason: "the mail server takes no mail at present",
		Detail: p.address + ": " + f.step.String() + ": " + reason.Line(why),
	}
	reply := f.reply()
	if reply == nil || f.step < atRecipient {
		return failure
	}
	switch reply.Code {
	case closing, needsLogin, weakLogin, wrongLogin, loginUncipher: // of the server, and not of the recipient
	default:
		failure.Reason = f.step.String() + ": " + reason.Public(why)
		failure.Permanent = reply.Code >= 500 && reply.Code <= 599
	}
	return failure
}

func (f *fault) describe(ctx context.Context) string {
	if reply := f.reply(); reply != nil {
		return strconv.Itoa(reply.Code) + " " + reply.Msg
	}
	return reason.Of(ctx, f.err)
}
