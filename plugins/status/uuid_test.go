package main

import (
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestUUID(t *testing.T) {
	for _, c := range []struct {
		text      string
		upper, ok bool
	}{
		{"4470009d-ca3c-4819-aa3a-7fa04e9af258", false, true},
		{"4470009D-CA3C-4819-AA3A-7FA04E9AF258", true, true},
		{"4470009D-ca3c-4819-aa3a-7fa04e9af258", false, true},
		{"44700090-0030-4819-0030-700040900258", false, true},
		{"00000000-0000-0000-0000-000000000000", false, true},
		{"ffffffff-ffff-ffff-ffff-ffffffffffff", false, true},
		{"", false, false},
		{"4470009d-ca3c-4819-aa3a-7fa04e9af25", false, false},
		{"4470009d-ca3c-4819-aa3a-7fa04e9af2588", false, false},
		{"4470009d-ca3c-4819-aa3a_7fa04e9af258", false, false},
		{"4470009dca3c-4819-aa3a-7fa04e9af258-", false, false},
		{"4470009g-ca3c-4819-aa3a-7fa04e9af258", false, false},
		{"4470009:-ca3c-4819-aa3a-7fa04e9af258", false, false},
		{"4470009@-ca3c-4819-aa3a-7fa04e9af258", false, false},
		{"4470009`-ca3c-4819-aa3a-7fa04e9af258", false, false},
		{"{470009d-ca3c-4819-aa3a-7fa04e9af25}", false, false},
	} {
		id, upper, ok := parseUUID(c.text)
		if ok != c.ok || upper != c.upper {
			t.Errorf("%q: %v %v, want %v %v", c.text, upper, ok, c.upper, c.ok)
		}
		if ok && id.String() != strings.ToLower(c.text) {
			t.Errorf("%q: reads as %v", c.text, id)
		}
	}
}

func TestAnIdentityIsTheSameForAnAccountAndNoOther(t *testing.T) {
	a, b := identityOf("ann"), identityOf("bob")
	if a == b || a != identityOf("ann") {
		t.Errorf("%v, %v", a, b)
	}
	// What is stored is under it.
	if want := "37733a28-2c46-5e15-9785-555431272a12"; a.String() != want {
		t.Errorf("ann: %v, want %v", a, want)
	}
	if c, d := newUUID(), newUUID(); c == d || c[6]>>4 != 4 || c[8]>>6 != 2 || a[6]>>4 != 5 || a[8]>>6 != 2 {
		t.Errorf("%v, %v, %v: wrong version or variant", a, c, d)
	}
}

func FuzzUUID(f *testing.F) {
	f.Add("4470009d-ca3c-4819-aa3a-7fa04e9af258")
	f.Add("4470009D-CA3C-4819-AA3A-7FA04E9AF258")
	f.Add("4470009d-ca3c-4819-aa3a_7fa04e9af258")
	f.Fuzz(func(t *testing.T, text string) {
		id, upper, ok := parseUUID(text)
		if !ok {
			return
		}
		u := update{id: id, upper: upper}
		u.appendRecord(new(abi.Writer))
		if !strings.EqualFold(id.String(), text) || upper && u.text() != text || len(text) != uuidText {
			t.Fatalf("%q: reads as %v, %q", text, id, u.text())
		}
	})
}
