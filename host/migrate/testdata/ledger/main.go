// Command ledger is the plugin of package book, in the schema that the build tags
// choose.
package main

import (
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/migrate/testdata/ledger/book"
)

func init() { guest.Serve(book.Plugin(schema)) }

func main() {}
