package gateway

import (
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"github.com/edgeset/edgeset/host/deploy"
)

func TestWhatAPluginAnswersAProbeDoesNotSteerATerminal(t *testing.T) {
	d := *load(t, trial())
	for _, p := range []deploy.ProbeSpec{
		{Path: "/t/echo/%C2%9B31m%E2%80%AE/b", Status: 404},
		{Path: "/t/echo/%C2%9B31m%E2%80%AE/b", Status: 200, Contains: "welcome"},
	} {
		d.Spec.Probes = []deploy.ProbeSpec{p}
		err := Probe(t.Context(), Config{Store: openStore(t), Log: slog.New(slog.DiscardHandler)}, &d)
		if err == nil || !strings.Contains(err.Error(), "31m") {
			t.Fatalf("the answer is not told: %v", err)
		}
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", err.Error())
		}
	}
}

func TestAProbeFindsADeploymentWhoseHostIsAnAddress(t *testing.T) {
	d := *load(t, trial("2001:db8::1"))
	d.Spec.Probes = []deploy.ProbeSpec{{Path: "/t/count", Status: 200}}
	if err := Probe(t.Context(), Config{Store: openStore(t), Log: slog.New(slog.DiscardHandler)}, &d); err != nil {
		t.Error(err)
	}
}
