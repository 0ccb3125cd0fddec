package picture

import (
	"image"
	"image/color"
)

// layout tells how the pixels of img become planes: one if it has no colours,
// otherwise three, with the grid that each of them is on.
func layout(img image.Image, width, height int) []raster {
	full := raster{width, height, 1, 1}
	switch m := img.(type) {
	case *image.Gray, *image.Gray16:
		return []raster{full}
	case *image.YCbCr:
		x, y := subsampling(m.SubsampleRatio)
		half := raster{width, height, x, y}
		return []raster{full, half, half}
	}
	return []raster{full, full, full}
}

// subsampling is how many pixels a sample of a colour is for.
func subsampling(r image.YCbCrSubsampleRatio) (x, y int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// stream sends the rows of img to the sinks of the planes that layout tells of.
// Planes that a JPEG or a WebP has are sent as they are.
func stream(img image.Image, grids []raster, sinks []sink) {
	if m, ok := img.(*image.YCbCr); ok {
		sendPlane(m.Y, m.YStride, grids[0], sinks[0])
		sendPlane(m.Cb, m.CStride, grids[1], sinks[1])
		sendPlane(m.Cr, m.CStride, grids[2], sinks[2])
		return
	}
	switch m := img.(type) {
	case *image.Gray:
		sendPlane(m.Pix, m.Stride, grids[0], sinks[0])
	case *image.Gray16:
		line := make([]byte, grids[0].width)
		for y := range grids[0].height {
			for x := range line {
				line[x] = m.Pix[y*m.Stride+2*x]
			}
			sinks[0].row(line)
		}
	case *image.NYCbCrA:
		sendTransparent(m, sinks)
	default:
		sendRGB(img, grids[0].width, grids[0].height, sinks)
	}
}

func sendPlane(pix []byte, stride int, grid raster, to sink) {
	w, h := grid.samples()
	for y := range h {
		to.row(pix[y*stride:][:w])
	}
}

// sendTransparent lays a WebP with transparency onto white.
func sendTransparent(m *image.NYCbCrA, sinks []sink) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	luma, cb, cr := make([]byte, w), make([]byte, w), make([]byte, w)
	xstep, ystep := subsampling(m.SubsampleRatio)
	for y := range h {
		ys, as := m.Y[y*m.YStride:], m.A[y*m.AStride:]
		cbs, crs := m.Cb[y/ystep*m.CStride:], m.Cr[y/ystep*m.CStride:]
		for x := range luma {
			a := as[x]
			luma[x] = over(ys[x], a, studioWhite)
			cb[x] = over(cbs[x/xstep], a, 128)
			cr[x] = over(crs[x/xstep], a, 128)
		}
		sinks[0].row(luma)
		sinks[1].row(cb)
		sinks[2].row(cr)
	}
}

// over lays a sample onto another.
func over(v, alpha, below byte) byte {
	a := uint32(alpha)
	return byte((uint32(v)*a + uint32(below)*(255-a) + 127) / 255)
}

// sendRGB lays a picture onto white and sends it as luma and colour differences.
func sendRGB(img image.Image, width, height int, sinks []sink) {
	rgb := make([]byte, 3*width)
	luma, cb, cr := make([]byte, width), make([]byte, width), make([]byte, width)
	var palette [256][3]byte
	if m, ok := img.(*image.Paletted); ok {
		for i, c := range m.Palette[:min(len(m.Palette), len(palette))] {
			n := color.NRGBAModel.Convert(c).(color.NRGBA)
			palette[i] = [3]byte{over(n.R, n.A, 255), over(n.G, n.A, 255), over(n.B, n.A, 255)}
		}
	}
	for y := range height {
		switch m := img.(type) {
		case *image.Paletted:
			palettedRow(rgb, m, y, &palette)
		case *image.RGBA:
			rgbaRow(rgb, m.Pix[y*m.Stride:][:4*width])
		case *image.NRGBA:
			nrgbaRow(rgb, m.Pix[y*m.Stride:][:4*width], 4)
		case *image.RGBA64: // Opaque, so it makes no difference that alpha is in it.
			nrgbaRow(rgb, m.Pix[y*m.Stride:][:8*width], 8)
		case *image.NRGBA64:
			nrgbaRow(rgb, m.Pix[y*m.Stride:][:8*width], 8)
		case *image.CMYK:
			cmykRow(rgb, m.Pix[y*m.Stride:][:4*width])
		default: // There is none, as the decoders are.
			panic("picture: pixels of an unknown kind")
		}
		lumaRow(luma, cb, cr, rgb)
		sinks[0].row(luma)
		sinks[1].row(cb)
		sinks[2].row(cr)
	}
}

// palettedRow takes a row of a picture that may be but a part of the screen. The
// rest of it is white.
func palettedRow(rgb []byte, m *image.Paletted, y int, palette *[256][3]byte) {
	if m.Rect.Dx()*3 != len(rgb) || y < m.Rect.Min.Y || y >= m.Rect.Max.Y {
		for i := range rgb {
			rgb[i] = 255
		}
	}
	if y < m.Rect.Min.Y || y >= m.Rect.Max.Y {
		return
	}
	rgb = rgb[3*m.Rect.Min.X:]
	for x, i := range m.Pix[(y-m.Rect.Min.Y)*m.Stride:][:m.Rect.Dx()] {
		*(*[3]byte)(rgb[3*x:]) = palette[i]
	}
}

// rgbaRow takes a row whose colours are multiplied by their alpha.
func rgbaRow(rgb, pix []byte) {
	for x := 0; len(pix) >= 4; x, pix = x+3, pix[4:] {
		white := 255 - pix[3]
		rgb[x], rgb[x+1], rgb[x+2] = pix[0]+white, pix[1]+white, pix[2]+white
	}
}

// nrgbaRow takes a row of pixels of 4 or 8 bytes. Of a sample of two bytes, the
// first is taken.
func nrgbaRow(rgb, pix []byte, pixel int) {
	step := pixel / 4
	for x := 0; len(pix) >= pixel; x, pix = x+3, pix[pixel:] {
		r, g, b, a := pix[0], pix[step], pix[2*step], pix[3*step]
		if a != 255 {
			r, g, b = over(r, a, 255), over(g, a, 255), over(b, a, 255)
		}
		rgb[x], rgb[x+1], rgb[x+2] = r, g, b
	}
}

func cmykRow(rgb, pix []byte) {
	for x := 0; len(pix) >= 4; x, pix = x+3, pix[4:] {
		rgb[x], rgb[x+1], rgb[x+2] = color.CMYKToRGB(pix[0], pix[1], pix[2], pix[3])
	}
}

// lumaRow converts RGB as JFIF has it. The factors have 16 bits behind the
// point.
func lumaRow(luma, cb, cr, rgb []byte) {
	const half = 1 << 15
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for x := range luma {
		r, g, b := int32(rgb[3*x]), int32(rgb[3*x+1]), int32(rgb[3*x+2])
		luma[x] = byte((19595*r + 38470*g + 7471*b + half) >> 16)
		cb[x] = byte(min((-11056*r-21712*g+32768*b+128<<16+half)>>16, 255))
		cr[x] = byte(min((32768*r-27440*g-5328*b+128<<16+half)>>16, 255))
	}
}

// studioWhite is white in the range of television, which WebP has.
const studioWhite = 235

// widen spreads samples from the range of television to all values.
func widen(planes []*plane) {
	var luma, colour [256]byte
	for i := range 256 {
		luma[i] = byte(min(max(((i-16)*255*2+219)/(2*219), 0), 255))
		colour[i] = byte(min(max((i-128)*255/224+128, 0), 255))
	}
	for n, p := range planes {
		table := &colour
		if n == 0 {
			table = &luma
		}
		for i, v := range p.pix {
			p.pix[i] = table[v]
		}
	}
}
