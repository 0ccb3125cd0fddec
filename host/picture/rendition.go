package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
)

// quality of the JPEGs: what is lost is hard to see, and they are about half as
// large as at 92.
const quality = 82

// renditions scales img to the boxes and encodes what comes out. Every rendition
// is made of the original alone, not of the next larger one, so that its bytes
// do not depend on what else is asked for; the halvings are shared.
func renditions(img image.Image, o *outline, boxes []Box) ([]Rendition, error) {
	out := make([]Rendition, len(boxes))
	grids := layout(img, o.width, o.height)
	var scaled [][]*plane // of each size, its planes
	of := make([]int, len(boxes))
	for i, b := range boxes {
		w, h := fit(o.Width, o.Height, b)
		out[i].Width, out[i].Height = w, h
		if o.orientation > 4 {
			w, h = h, w
		}
		of[i] = -1
		for j, planes := range scaled {
			if planes[0].width == w && planes[0].height == h {
				of[i] = j
			}
		}
		if of[i] < 0 {
			of[i] = len(scaled)
			var planes []*plane
			for range grids {
				planes = append(planes, newPlane(w, h))
			}
			scaled = append(scaled, planes)
		}
	}
	if len(scaled) == 0 {
		return out, nil
	}
	sinks := make([]sink, len(grids))
	for i, grid := range grids {
		var dst []*plane
		for _, planes := range scaled {
			dst = append(dst, planes[i])
		}
		sinks[i] = scaler(grid, dst)
	}
	stream(img, grids, sinks)

	encoded := make([][]byte, len(scaled))
	for i, planes := range scaled {
		if o.studio {
			widen(planes)
		}
		for _, p := range planes {
			p.turn(o.orientation)
		}
		var err error
		if encoded[i], err = encode(planes); err != nil {
			return nil, err
		}
	}
	for i := range out {
		out[i].JPEG = encoded[of[i]]
	}
	return out, nil
}

func encode(planes []*plane) ([]byte, error) {
	luma := planes[0]
	bounds := image.Rect(0, 0, luma.width, luma.height)
	var img image.Image = &image.Gray{Pix: luma.pix, Stride: luma.width, Rect: bounds}
	if len(planes) == 3 {
		img = &image.YCbCr{
			Y: luma.pix, Cb: planes[1].pix, Cr: planes[2].pix,
			YStride: luma.width, CStride: luma.width,
			SubsampleRatio: image.YCbCrSubsampleRatio444, Rect: bounds,
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("picture: cannot encode %d × %d pixels as JPEG: %w", luma.width, luma.height, err)
	}
	return b.Bytes(), nil
}

// turn applies an EXIF orientation: for 2 to 4 a mirror, half a turn or both,
// for 5 to 8 rows and columns change their places as well.
func (p *plane) turn(orientation int) {
	if orientation < 2 {
		return
	}
	// Where the sample at the top left comes from, and the steps from there to
	// its neighbours on the right and below.
	w, h := p.width, p.height
	var at, right, down int
	switch orientation {
	case 2:
		at, right, down = w-1, -1, w
	case 3:
		at, right, down = w*h-1, -1, -w
	case 4:
		at, right, down = (h-1)*w, 1, -w
	case 5:
		at, right, down = 0, w, 1
	case 6:
		at, right, down = (h-1)*w, -w, 1
	case 7:
		at, right, down = w*h-1, -w, -1
	case 8:
		at, right, down = w-1, w, -1
	}
	if orientation > 4 {
		w, h = h, w
	}
	turned := newPlane(w, h)
	for y := range h {
		from := at + y*down
		for x := range turned.pix[y*w:][:w] {
			turned.pix[y*w+x] = p.pix[from]
			from += right
		}
	}
	*p = *turned
}
