package main

import (
	"encoding/binary"

	"github.com/edgeset/edgeset/abi"
)

// The key space. The first byte of a key tells what it is; numbers are big endian, so
// that keys sort as the numbers do. A shelf is 'p' for posts, 'c' for comments.
//
//	p number                  → post
//	c number                  → comment
//	e …                       comments of deleted posts that are still to be erased
//	s, t …                    the sets of numbers, and moments: see catalog
//
//	n shelf                   → the last number that was given, and when
//	m shelf                   → when something on the shelf was last changed
//	i blob                    → of which posts it is a picture: how many, and visible ones
//	f shelf number            → who has flagged it
//	q shelf                   → how many are in the queue of the operators
//	q shelf weight number     is in the queue; the more flags, the smaller the weight
const (
	keyPost    = 'p'
	keyCounter = 'n'
	keyChanged = 'm'
	keyPicture = 'i'
	keyFlags   = 'f'
	keyQueue   = 'q'
)

// The shelves.
const (
	shelfPosts    shelf = 'p'
	shelfComments shelf = 'c'
)

func numberKey(kind byte, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, 5), kind), number)
}

func postKey(number uint32) []byte { return numberKey(keyPost, number) }

func shelfKey(kind byte, s shelf) []byte { return append(make([]byte, 0, 10), kind, byte(s)) }

func flagsKey(s shelf, number uint32) []byte {
	return binary.BigEndian.AppendUint32(shelfKey(keyFlags, s), number)
}

// queueKey sorts those with the most flags first, and of these the oldest.
func queueKey(s shelf, flags int, number uint32) []byte {
	b := binary.BigEndian.AppendUint32(shelfKey(keyQueue, s), ^uint32(flags))
	return binary.BigEndian.AppendUint32(b, number)
}

func pictureKey(id abi.BlobID) []byte {
	return append(append(make([]byte, 0, 1+len(id)), keyPicture), id[:]...)
}
