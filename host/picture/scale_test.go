package picture

import (
	"hash/fnv"
	"testing"
)

func TestTheWeightsOfAWindowAddUp(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 100, 1001, 4000, maxSide} {
		for _, step := range []int{1, 2, 4, 64} {
			for _, results := range []int{1, 2, 3, 160, 640, size / 2, size - 1, size} {
				if results < 1 || results > size {
					continue
				}
				samples := (size + step - 1) / step
				for i, w := range windows(size, step, results) {
					sum := int32(0)
					for _, v := range w.weights {
						sum += v
					}
					if sum != 1<<weightBits || w.first < 0 || w.last() >= samples {
						t.Fatalf("size %d, step %d, result %d of %d: weights from %d to %d add up to %d", size, step, i, results, w.first, w.last(), sum)
					}
				}
			}
		}
	}
}

// fill sends the rows of f, of which x and y are the middle of a sample in
// pixels.
func fill(g raster, to sink, f func(x, y float64) float64) {
	w, h := g.samples()
	row := make([]byte, w)
	for y := range h {
		for x := range row {
			row[x] = byte(f((float64(x)+0.5)*float64(g.xstep), (float64(y)+0.5)*float64(g.ystep)) + 0.5)
		}
		to.row(row)
	}
}

// A slope remains the slope that it was: nothing is moved, by whatever steps a
// size is reached, and on whatever grid a plane is.
func TestScalingMovesNothing(t *testing.T) {
	for _, size := range [][2]int{{400, 300}, {401, 303}} {
		for _, steps := range [][2]int{{1, 1}, {2, 2}, {2, 1}, {4, 2}, {1, 2}} {
			g := raster{size[0], size[1], steps[0], steps[1]}
			var planes []*plane
			for _, w := range []int{size[0], size[0] * 2 / 3, 200, 149, 40} {
				planes = append(planes, newPlane(w, max(1, w*size[1]/size[0])))
			}
			slope := func(x, y float64) float64 { return 20 + 120*x/float64(size[0]) + 90*y/float64(size[1]) }
			fill(g, scaler(g, planes), slope)
			for _, p := range planes {
				// Near the sides a window is cut off.
				for y := p.height / 8; y < p.height*7/8; y++ {
					for x := p.width / 8; x < p.width*7/8; x++ {
						want := slope((float64(x)+0.5)*float64(size[0])/float64(p.width), (float64(y)+0.5)*float64(size[1])/float64(p.height))
						if d := float64(p.pix[y*p.width+x]) - want; d > 1.6 || d < -1.6 {
							t.Fatalf("%v with a sample for %v pixels, scaled to %d × %d: %d at %d, %d; want %.1f", size, steps, p.width, p.height, p.pix[y*p.width+x], x, y, want)
						}
					}
				}
			}
		}
	}
}

// All that is between the decoder and the encoder is to be the same on every
// machine.
func TestScalingIsTheSameEverywhere(t *testing.T) {
	g := raster{997, 661, 1, 1}
	planes := []*plane{newPlane(997, 661), newPlane(700, 464), newPlane(160, 106), newPlane(31, 21)}
	to := scaler(g, planes)
	row, noise := make([]byte, 997), uint32(1)
	for range 661 {
		for x := range row {
			noise = noise*1664525 + 1013904223
			row[x] = byte(noise >> 24)
		}
		to.row(row)
	}
	hash := fnv.New64a()
	for _, p := range planes {
		hash.Write(p.pix)
	}
	if got, want := hash.Sum64(), uint64(0xbe47163998de0502); got != want {
		t.Errorf("%#x; want %#x", got, want)
	}
}
