package guesttest

import "github.com/edgeset/edgeset/abi"

// Denied are the methods of an abi.Host that take a grant beyond a key space, of a
// manifest that does not give it: for a host that a test makes itself.
type Denied struct{}

// Image implements abi.Host.
func (Denied) Image(*abi.ImageQuery) (*abi.Image, error) { return nil, abi.ErrDenied }

// KeepFile implements abi.Host.
func (Denied) KeepFile(int) (abi.Blob, error) { return abi.Blob{}, abi.ErrDenied }

// LinkBlob implements abi.Host.
func (Denied) LinkBlob(abi.BlobID, []byte) error { return abi.ErrDenied }

// UnlinkBlob implements abi.Host.
func (Denied) UnlinkBlob(abi.BlobID, []byte) error { return abi.ErrDenied }

// FindBlob implements abi.Host.
func (Denied) FindBlob(abi.BlobID) (int64, bool, error) { return 0, false, abi.ErrDenied }

// Dispatch implements abi.Host.
func (Denied) Dispatch(abi.Value) error { return abi.ErrDenied }

// GetShared implements abi.Host.
func (Denied) GetShared(string, []byte) ([]byte, bool, error) { return nil, false, abi.ErrDenied }

// ScanShared implements abi.Host.
func (Denied) ScanShared(string, abi.Range) (abi.Page, error) { return abi.Page{}, abi.ErrDenied }
