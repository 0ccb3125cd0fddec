//go:build second

package main

const schema = 2
