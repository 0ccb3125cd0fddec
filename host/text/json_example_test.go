package text_test

import (
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

func ExampleParseJSON() {
	v, err := text.ParseJSON(nil, []byte(`{"price": 0.30000000000000004, "exact": 0.30000000000000005}`), abi.MaxDepth)
	if err != nil {
		fmt.Println(err)
		return
	}
	// A float holds the first exactly as it was written, and not the second.
	fmt.Println(abi.Value(v).Get("price").Kind() == abi.Float, abi.Value(v).Get("exact").Kind() == abi.Number)

	out, _ := text.AppendJSON(nil, v)
	fmt.Printf("%s\n", out)

	_, err = text.ParseJSON(nil, []byte(`[1, 2,]`), abi.MaxDepth)
	fmt.Println(err)
	// Output:
	// true true
	// {"price":0.30000000000000004,"exact":0.30000000000000005}
	// at byte 6: want a value, got ']'
}
