package text_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/tinylib/msgp/msgp"
)

// decimal is a number in a form in which equal numbers are equal, however large
// their exponents: sign, digits without outer zeros, exponent.
type decimal string

func decimalOf(text string) decimal {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	exp := new(big.Int)
	if exponent != "" {
		if _, ok := exp.SetString(exponent, 10); !ok {
			panic("exponent of " + text)
		}
	}
	exp.Sub(exp, big.NewInt(int64(len(fraction))))
	digits = strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	exp.Add(exp, big.NewInt(int64(len(digits)-len(short))))
	if short == "" {
		exp.SetInt64(0)
	}
	return decimal(fmt.Sprintf("%t %s %s", negative, short, exp))
}

// modelOf returns a value as encoding/json would, with exact numbers.
func modelOf(t testing.TB, v abi.Value) any {
	switch v.Kind() {
	case abi.Nil:
		return nil
	case abi.Bool:
		b, _ := v.Bool()
		return b
	case abi.Int:
		if n, ok := v.Int(); ok {
			return decimalOf(strconv.FormatInt(n, 10))
		}
		n, _, err := msgp.ReadUint64Bytes(v)
		if err != nil {
			t.Fatalf("% x: %v", []byte(v), err)
		}
		return decimalOf(strconv.FormatUint(n, 10))
	case abi.Float:
		f, _ := v.Float()
		return decimalOf(strconv.FormatFloat(f, 'e', -1, 64))
	case abi.Number:
		text, _ := v.NumberText()
		return decimalOf(text)
	case abi.String:
		s, _ := v.Text()
		return s
	case abi.Array:
		list := []any{}
		for it := v.Items(); it.Next(); {
			list = append(list, modelOf(t, it.Value()))
		}
		return list
	case abi.Map:
		m := map[string]any{}
		for it := v.Entries(); it.Next(); {
			m[string(it.Key())] = modelOf(t, it.Value())
		}
		return m
	}
	t.Fatalf("% x is %s", []byte(v), v.Kind())
	return nil
}

// referenceOf returns what encoding/json reads, with exact numbers.
func referenceOf(t testing.TB, src []byte) any {
	dec := json.NewDecoder(strings.NewReader(string(src)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", src, err)
	}
	return exact(v)
}

func exact(v any) any {
	switch v := v.(type) {
	case json.Number:
		return decimalOf(string(v))
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = exact(v[k])
		}
	}
	return v
}
