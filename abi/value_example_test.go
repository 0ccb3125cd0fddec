package abi_test

import (
	"fmt"

	"github.com/edgeset/edgeset/abi"
)

func ExampleWriter() {
	var w abi.Writer
	w.Map()
	w.Key("name")
	w.Text("Ada")
	w.Key("points")
	w.Array()
	for _, n := range []int64{3, 5, 8} {
		w.Int(n)
	}
	w.End()
	w.End()
	fmt.Printf("% x\n", []byte(w.Value()))
	// Output: df 00 00 00 02 a4 6e 61 6d 65 a3 41 64 61 a6 70 6f 69 6e 74 73 dd 00 00 00 03 03 05 08
}

func ExampleValue() {
	body := abi.Value("\x82\xa4name\xa3Ada\xa6points\x93\x03\x05\x08")

	name, ok := body.Get("name").Text()
	fmt.Println(name, ok)

	var sum int64
	for it := body.Get("points").Items(); it.Next(); {
		n, _ := it.Value().Int()
		sum += n
	}
	fmt.Println(sum)

	// What is not there needs no check on the way.
	_, ok = body.Get("address").Get("city").Text()
	fmt.Println(ok)
	// Output:
	// Ada true
	// 16
	// false
}

func ExampleReader() {
	// A point of a known shape: time, latitude and longitude in millionths of a
	// degree, and what newer clients add.
	point := abi.Value("\x94\xce\x58\x2f\x00\x00\xd2\x02\x40\x59\x60\xd2\xf8\xb4\x00\x00\x07")

	r := point.Read()
	n := r.Array()
	time, lat, long := r.Int(), r.Int(), r.Int()
	r.Skip(n - 3)
	if !r.Done() {
		fmt.Println("not a point")
		return
	}
	fmt.Println(time, lat, long)
	// Output: 1479475200 37771616 -122421248
}
