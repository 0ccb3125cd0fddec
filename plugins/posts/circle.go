package main

import "math"

// A place on earth, in 1e-7 degrees: latitude from -90 to 90 degrees, longitude from
// -180 to below 180.
type place struct{ lat, lon int32 }

// A circle is all places within a radius, in metres, of its centre.
type circle struct {
	centre place
	radius float64
}

const (
	earthRadius = 6371008.8 // metres, of a sphere
	fullTurn    = 3_600_000_000
	halfTurn    = fullTurn / 2
	rightAngle  = fullTurn / 4
	inRadians   = math.Pi / halfTurn
)

// distance returns how far two places are from each other, in metres, by the
// haversine.
func distance(a, b place) float64 { return arc(a, b, cosine(a.lat)) }

func arc(a, b place, cosA float64) float64 {
	sinLat := math.Sin(float64(int64(a.lat)-int64(b.lat)) * inRadians / 2)
	sinLon := math.Sin(float64(turn(a.lon, b.lon)) * inRadians / 2)
	h := sinLat*sinLat + cosA*cosine(b.lat)*sinLon*sinLon
	return 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1)))
}

// cosine of a latitude is exactly 0 at the poles, where all longitudes meet.
func cosine(lat int32) float64 {
	if lat == rightAngle || lat == -rightAngle {
		return 0
	}
	return math.Cos(float64(lat) * inRadians)
}

// turn returns the angle between two longitudes, from 0 to halfTurn.
func turn(a, b int32) int64 {
	d := int64(a) - int64(b)
	if d < 0 {
		d = -d
	}
	return min(d, fullTurn-d)
}

// A compass tells which places are in a circle.
type compass struct {
	circle
	all    bool // places are
	cosLat float64
	cos    float64 // of the radius as an angle
	// No place of the circle is farther than that from its centre, in either direction.
	latSpan, lonSpan int64
	// The haversine of the radius, and between what the cosines of latitudes are there.
	haversine      float64
	cosMin, cosMax float64
}

func newCompass(c *circle) *compass {
	angle := c.radius / earthRadius
	p := &compass{circle: *c, cosLat: cosine(c.centre.lat), all: angle >= math.Pi}
	if p.all {
		return p
	}
	p.cos = math.Cos(angle)
	const margin = 1e-9 // radians, some millimetres
	p.latSpan = int64((angle+margin)/inRadians) + 2
	p.lonSpan = halfTurn
	north := min(int64(c.centre.lat)+p.latSpan, rightAngle)
	south := max(int64(c.centre.lat)-p.latSpan, -rightAngle)
	p.haversine = math.Sin(angle/2) * math.Sin(angle/2)
	cosNorth, cosSouth := cosine(int32(north)), cosine(int32(south))
	p.cosMin, p.cosMax = max(min(cosNorth, cosSouth)-1e-15, 0), max(cosNorth, cosSouth)+1e-15
	if south < 0 && north > 0 {
		p.cosMax = 1
	}
	if north < rightAngle && south > -rightAngle {
		// The meridians that touch the circle.
		if sine := math.Sin(angle+margin) / p.cosLat; sine < 1 {
			p.lonSpan = int64((math.Asin(sine)+margin)/inRadians) + 2
		}
	}
	return p
}

// has tells whether a place is in the circle: as its distance is no more than the
// radius. Of most places that shows without a sine, as x² (1 - x²/3) ≤ sin² x ≤ x².
func (p *compass) has(at place) bool {
	if p.all {
		return true
	}
	up, along := int64(at.lat)-int64(p.centre.lat), turn(at.lon, p.centre.lon)
	if up > p.latSpan || up < -p.latSpan || along > p.lonSpan {
		return false
	}
	a, b := float64(up)*(inRadians/2), float64(along)*(inRadians/2)
	a, b = a*a, b*b
	const margin = 1e-9 // far more than what is lost in rounding
	if a+p.cosLat*p.cosMax*b < p.haversine*(1-margin) {
		return true
	}
	if a*(1-a/3)+p.cosLat*p.cosMin*b*(1-b/3) > p.haversine*(1+margin) {
		return false
	}
	return arc(p.centre, at, p.cosLat) <= p.radius
}

// A box is places between two latitudes and between two longitudes, all inclusive.
type box struct{ south, north, west, east int32 }

// How a box lies to a circle.
const (
	outside = iota // no place of the box is in the circle
	crossing
	inside // all are
)

// position tells how a box lies. It says crossing also of a box that is hardly inside, or
// hardly outside.
func (p *compass) position(b *box) int {
	if p.all {
		return inside
	}
	at := p.centre
	if int64(b.south)-int64(at.lat) > p.latSpan || int64(at.lat)-int64(b.north) > p.latSpan {
		return outside
	}
	if (at.lon < b.west || at.lon > b.east) && min(turn(at.lon, b.west), turn(at.lon, b.east)) > p.lonSpan {
		return outside
	}
	// Far more than what is lost in rounding, of cosines.
	const margin = 1e-13
	if nearest(p.centre, b) < p.cos-margin {
		return outside
	}
	// The farther from a place, the nearer to the one at the other end of the earth.
	antipode := place{-p.centre.lat, p.centre.lon - halfTurn}
	if p.centre.lon < 0 {
		antipode.lon = p.centre.lon + halfTurn
	}
	if -nearest(antipode, b) > p.cos+margin {
		return inside
	}
	return crossing
}

// nearest returns the cosine of the angle between a place and the nearest one of a
// box.
func nearest(at place, b *box) float64 {
	if b.west <= at.lon && at.lon <= b.east {
		switch {
		case at.lat < b.south:
			return math.Cos(float64(int64(b.south)-int64(at.lat)) * inRadians)
		case at.lat > b.north:
			return math.Cos(float64(int64(at.lat)-int64(b.north)) * inRadians)
		}
		return 1
	}
	// On every latitude the nearest is on the nearer of the two meridians. On a
	// meridian the cosine is a wave along the latitude.
	sin, cos := math.Sincos(float64(at.lat) * inRadians)
	cos *= math.Cos(float64(min(turn(at.lon, b.west), turn(at.lon, b.east))) * inRadians)
	south, north := float64(b.south)*inRadians, float64(b.north)*inRadians
	if crest := math.Atan2(sin, cos); south <= crest && crest <= north {
		return math.Hypot(sin, cos)
	}
	sinS, cosS := math.Sincos(south)
	sinN, cosN := math.Sincos(north)
	return max(sin*sinS+cos*cosS, sin*sinN+cos*cosN)
}
