package guest

import "github.com/edgeset/edgeset/abi"

// Files returns the files that were uploaded, on routes that say Upload. Their bytes
// stay with the host.
func (r *Request) Files() []abi.File { return abi.ReadFiles(r.raw.Files) }

// Image makes renditions of a picture that was uploaded. What is wrong with it is the
// Image's Code and Message, for the client; an error is the host's.
func (r *Request) Image(q *abi.ImageQuery) (*abi.Image, error) { return r.host.Image(q) }

// KeepFile returns a file that was uploaded, as it came, as a blob. It is not kept
// before a name is linked to it.
func (r *Request) KeepFile(index int) (abi.Blob, error) { return r.host.KeepFile(index) }

// LinkBlob links a name to a blob, which is kept as long as it has one. Which names
// there are is up to the plugin: one for each record that uses the blob, say.
func (r *Request) LinkBlob(id abi.BlobID, name string) error {
	return r.host.LinkBlob(id, []byte(name))
}

// UnlinkBlob takes a name off a blob. The last one takes the blob with it.
func (r *Request) UnlinkBlob(id abi.BlobID, name string) error {
	return r.host.UnlinkBlob(id, []byte(name))
}

// FindBlob tells whether a blob is kept, and how many bytes it has.
func (r *Request) FindBlob(id abi.BlobID) (size int64, found bool, err error) {
	return r.host.FindBlob(id)
}
