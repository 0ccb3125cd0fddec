package main

import (
	"encoding/binary"
	"slices"

	"github.com/edgeset/edgeset/abi/guest"
)

// Places are kept in trees of cells: one tree of all posts, and one for each tag. The
// cell at the top is the whole earth; the 16 below a cell have a quarter of its height
// and width. A cell of few posts is a leaf that has their places; one of more is the
// set of their numbers, and has cells below. In the smallest cells all posts have the
// same place.
//
//	p g depth x y tag    key of a set (see set), or, in the place of its head:
//	                     0xFF, and for each post number, latitude, longitude
type cell struct {
	depth byte
	x, y  uint32
}

const (
	maxPoints = 128 // of a leaf
	maxDepth  = 16
	pointSize = 3 * 4
	leafMark  = 0xFF
)

// A point is where a post is.
type point struct {
	number uint32
	at     place
}

// cellOf returns the cell at a depth that a place is in.
func cellOf(at place, depth byte) cell {
	shift := 32 - 2*uint(depth)
	x, y := uint64(int64(at.lon)+halfTurn), uint64(int64(at.lat)+rightAngle)
	return cell{depth, uint32(x >> shift), uint32(y >> shift)}
}

// box returns the places of a cell; false if there are none.
func (c cell) box() (b box, ok bool) {
	shift := 32 - 2*uint(c.depth)
	west, south := int64(c.x)<<shift, int64(c.y)<<shift
	size := int64(1) << shift
	east, north := min(west+size, fullTurn)-1, min(south+size-1, halfTurn)
	if west > east || south > north {
		return b, false
	}
	return box{
		south: int32(south - rightAngle), north: int32(north - rightAngle),
		west: int32(west - halfTurn), east: int32(east - halfTurn),
	}, true
}

// record returns the key of the cell's record in the tree of a tag, "" being that of
// all. The key of the set is what stands behind headPrefix.
func (c cell) record(tag string) []byte {
	b := append(make([]byte, 0, headPrefix+3+8+len(tag)), keySet, 0, byte(shelfPosts), 'g', c.depth)
	b = binary.BigEndian.AppendUint32(b, c.x)
	b = binary.BigEndian.AppendUint32(b, c.y)
	return appendTerm(b, tag)
}

func isLeaf(record []byte) bool { return len(record) > 0 && record[0] == leafMark }

// pointsOf reads a leaf.
func pointsOf(record []byte) ([]point, error) {
	if (len(record)-1)%pointSize != 0 {
		return nil, errDamaged
	}
	points := make([]point, 0, maxPoints+1)
	for b := record[1:]; len(b) > 0; b = b[pointSize:] {
		points = append(points, pointOf(b))
	}
	return points, nil
}

func pointOf(b []byte) point {
	return point{binary.BigEndian.Uint32(b), place{
		int32(binary.BigEndian.Uint32(b[4:])), int32(binary.BigEndian.Uint32(b[8:])),
	}}
}

func putLeaf(kv *guest.KV, key []byte, points []point) error {
	if len(points) == 0 {
		return kv.Delete(key)
	}
	b := append(make([]byte, 0, 1+pointSize*len(points)), leafMark)
	for _, p := range points {
		b = binary.BigEndian.AppendUint32(b, p.number)
		b = binary.BigEndian.AppendUint32(b, uint32(p.at.lat))
		b = binary.BigEndian.AppendUint32(b, uint32(p.at.lon))
	}
	return kv.Put(key, b)
}

// changeTrees puts a post into the trees of tags, or takes it out. It reads the cells
// of all trees depth by depth.
func changeTrees(kv *guest.KV, tags []string, p point, remove bool) error {
	var edits []edit
	for depth := byte(0); len(tags) > 0; depth++ {
		c := cellOf(p.at, depth)
		keys := make([][]byte, len(tags))
		for i, tag := range tags {
			keys[i] = c.record(tag)
		}
		records, err := kv.GetMany(keys)
		if err != nil {
			return err
		}
		var below []string
		for i, record := range records {
			if depth == maxDepth || len(record) > 0 && !isLeaf(record) {
				edits = append(edits, edit{key: keys[i][headPrefix:], number: p.number, remove: remove, head: record})
				if depth < maxDepth {
					below = append(below, tags[i])
				}
				continue
			}
			if err := changeLeaf(kv, c, tags[i], record, p, remove); err != nil {
				return err
			}
		}
		tags = below
	}
	return applyEdits(kv, edits)
}

// changeLeaf puts a post into a cell that is a leaf, or takes it out; no record is an
// empty one.
func changeLeaf(kv *guest.KV, c cell, tag string, record []byte, p point, remove bool) error {
	var points []point
	if len(record) > 0 {
		var err error
		if points, err = pointsOf(record); err != nil {
			return err
		}
	}
	at := slices.IndexFunc(points, func(other point) bool { return other.number == p.number })
	if at >= 0 != remove {
		return nil
	}
	if remove {
		return putLeaf(kv, c.record(tag), slices.Delete(points, at, at+1))
	}
	return putPoints(kv, c, tag, append(points, p))
}

// putPoints writes a cell that has these posts, and the cells below it.
func putPoints(kv *guest.KV, c cell, tag string, points []point) error {
	if len(points) <= maxPoints && c.depth < maxDepth {
		return putLeaf(kv, c.record(tag), points)
	}
	numbers := make([]uint32, len(points))
	for i, p := range points {
		numbers[i] = p.number
	}
	slices.Sort(numbers)
	w := writer{kv: kv, key: c.record(tag)[headPrefix:]}
	if err := w.putTail(numbers); err != nil || c.depth == maxDepth {
		return err
	}
	for len(points) > 0 {
		child := cellOf(points[0].at, c.depth+1)
		var within []point
		points = slices.DeleteFunc(points, func(p point) bool {
			if cellOf(p.at, child.depth) != child {
				return false
			}
			within = append(within, p)
			return true
		})
		if err := putPoints(kv, child, tag, within); err != nil {
			return err
		}
	}
	return nil
}

// A visit is a cell on the way down to the edge of a circle.
type visit struct {
	cell
	inside bool
	above  int  // of the same round, which has to be a set for this one to be there; or -1
	asked  bool // those below are of the same round, too
}

const (
	// A round asks for the cells of several depths at once, as long as these are few.
	fewCells = 8
	maxRound = 24
)

// findPlaces returns the posts in a circle, of the tree of a tag: sets, and single
// numbers, none of them twice. It reads the cells on the edge of the circle, and those
// within that are as large as can be.
func findPlaces(kv *guest.KV, tag string, c *circle) (sets []*opened, numbers []uint32, err error) {
	compass := newCompass(c)
	next := []visit{{inside: compass.all, above: -1}}
	for len(next) > 0 {
		round := next
		next = nil
		for level := 0; len(round)-level <= fewCells && len(round) < maxRound; {
			end := len(round)
			for i := level; i < end; i++ {
				round = compass.appendBelow(round, &round[i], i)
			}
			if n := len(round) - end; n == 0 || n > 2*fewCells {
				round = round[:end]
				break
			}
			for i := level; i < end; i++ {
				round[i].asked = true
			}
			level = end
		}
		keys := make([][]byte, len(round))
		for i := range round {
			keys[i] = round[i].record(tag)
		}
		records, err := kv.GetMany(keys)
		if err != nil {
			return nil, nil, err
		}
		open := make([]bool, len(round))
		for i, record := range records {
			v := &round[i]
			if len(record) == 0 || v.above >= 0 && !open[v.above] {
				continue
			}
			if isLeaf(record) {
				if numbers, err = compass.appendFrom(numbers, record, v.inside); err != nil {
					return nil, nil, err
				}
				continue
			}
			if v.depth == maxDepth {
				b, ok := v.box()
				v.inside = ok && compass.has(place{b.south, b.west})
			}
			switch {
			case v.inside:
				o := new(opened)
				if err := o.read(keys[i][headPrefix:], record); err != nil {
					return nil, nil, err
				}
				sets = append(sets, o)
			case v.depth < maxDepth:
				open[i] = true
				if !v.asked {
					next = compass.appendBelow(next, v, -1)
				}
			}
		}
	}
	slices.Sort(numbers)
	return sets, numbers, nil
}

// appendBelow appends the cells below one that may have places in the circle. Below a
// cell that is inside nothing is of interest.
func (p *compass) appendBelow(list []visit, v *visit, above int) []visit {
	if v.inside || v.depth == maxDepth {
		return list
	}
	c := v.cell
	for i := range uint32(16) {
		child := cell{c.depth + 1, c.x<<2 | i&3, c.y<<2 | i>>2}
		b, ok := child.box()
		if !ok {
			continue
		}
		if position := p.position(&b); position != outside {
			list = append(list, visit{cell: child, inside: position == inside, above: above})
		}
	}
	return list
}

// appendFrom appends the numbers of a leaf that are in the circle.
func (p *compass) appendFrom(numbers []uint32, leaf []byte, inside bool) ([]uint32, error) {
	if (len(leaf)-1)%pointSize != 0 {
		return nil, errDamaged
	}
	for b := leaf[1:]; len(b) > 0; b = b[pointSize:] {
		if post := pointOf(b); inside || p.has(post.at) {
			numbers = append(numbers, post.number)
		}
	}
	return numbers, nil
}
