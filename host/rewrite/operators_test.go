package rewrite_test

// An operator takes operands and leaves one result.
type operator struct {
	op    []byte
	in    []byte
	out   byte
	traps bool // for some operands
	float bool // it can make a NaN
}

// operators are those on numbers.
var operators = func() (all []operator) {
	add := func(from, to byte, o operator) {
		for op := int(from); op <= int(to); op++ {
			o.op = []byte{byte(op)}
			all = append(all, o)
		}
	}
	unary := func(from, to byte, in, out byte) { add(from, to, operator{in: []byte{in}, out: out}) }
	binary := func(from, to byte, in, out byte) { add(from, to, operator{in: []byte{in, in}, out: out}) }
	unary(0x45, 0x45, i32, i32)
	binary(0x46, 0x4f, i32, i32)
	unary(0x50, 0x50, i64, i32)
	binary(0x51, 0x5a, i64, i32)
	binary(0x5b, 0x60, f32, i32)
	binary(0x61, 0x66, f64, i32)
	unary(0x67, 0x69, i32, i32)
	binary(0x6a, 0x6c, i32, i32)
	add(0x6d, 0x70, operator{in: []byte{i32, i32}, out: i32, traps: true})
	binary(0x71, 0x78, i32, i32)
	unary(0x79, 0x7b, i64, i64)
	binary(0x7c, 0x7e, i64, i64)
	add(0x7f, 0x82, operator{in: []byte{i64, i64}, out: i64, traps: true})
	binary(0x83, 0x8a, i64, i64)
	add(0x8b, 0x91, operator{in: []byte{f32}, out: f32, float: true})
	add(0x92, 0x98, operator{in: []byte{f32, f32}, out: f32, float: true})
	add(0x99, 0x9f, operator{in: []byte{f64}, out: f64, float: true})
	add(0xa0, 0xa6, operator{in: []byte{f64, f64}, out: f64, float: true})
	unary(0xa7, 0xa7, i64, i32)
	for i, out := range []byte{i32, i64} {
		for k, in := range []byte{f32, f64} {
			op := byte(0xa8 + 6*i + 2*k)
			add(op, op+1, operator{in: []byte{in}, out: out, traps: true})
			all = append(all,
				operator{op: []byte{0xfc, byte(4*i + 2*k)}, in: []byte{in}, out: out},
				operator{op: []byte{0xfc, byte(4*i + 2*k + 1)}, in: []byte{in}, out: out})
		}
	}
	unary(0xac, 0xad, i32, i64)
	unary(0xb2, 0xb3, i32, f32)
	unary(0xb4, 0xb5, i64, f32)
	add(0xb6, 0xb6, operator{in: []byte{f64}, out: f32, float: true})
	unary(0xb7, 0xb8, i32, f64)
	unary(0xb9, 0xba, i64, f64)
	add(0xbb, 0xbb, operator{in: []byte{f32}, out: f64, float: true})
	unary(0xbc, 0xbc, f32, i32)
	unary(0xbd, 0xbd, f64, i64)
	unary(0xbe, 0xbe, i32, f32)
	unary(0xbf, 0xbf, i64, f64)
	unary(0xc0, 0xc1, i32, i32)
	unary(0xc2, 0xc4, i64, i64)
	return all
}()
