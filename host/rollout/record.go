package rollout

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/store"
)

// What the controller keeps, in the space of the host:
//
//	deployment\0NAME            what serves
//	version\0NAME\0NUMBER       each version, the number in 8 bytes
//	audit\0STAMP                the audit log
//	revision                    of the host: how many changes there were
//
// A change is written in one transaction, before anything of it serves. So after the end
// of the process, at any point, what is read here is one whole version of each.
const (
	deploymentPrefix = "deployment\x00"
	versionPrefix    = "version\x00"
	auditPrefix      = "audit\x00"
	revisionKey      = "revision"
)

// A record says what serves of a deployment.
type record struct {
	Revision int64     `json:"revision"`
	Last     int       `json:"last"`               // number of the newest version
	Current  int       `json:"current"`            // 0: it was removed
	Previous int       `json:"previous,omitempty"` // that served before
	Since    time.Time `json:"since"`
	Canary   *Canary   `json:"canary,omitempty"`
	Ended    string    `json:"ended,omitempty"`
}

// keptVersions is how many versions of a deployment are kept, with their plugins.
const keptVersions = 100

// keptEntries bounds the audit log.
const keptEntries = 10_000

func versionKey(name string, number int) []byte {
	return binary.BigEndian.AppendUint64([]byte(versionPrefix+name+"\x00"), uint64(number))
}

// writing is what one change writes.
type writing struct {
	revision int64 // of the host, afterwards
	records  map[string]*record
	versions []*Version
	audit    []Entry
}

// write writes a change in one transaction.
func (c *Controller) write(ctx context.Context, w *writing) error {
	err := c.update(ctx, func(txn store.Txn) error {
		for name, r := range w.records {
			if err := put(txn, []byte(deploymentPrefix+name), r); err != nil {
				return err
			}
		}
		for _, v := range w.versions {
			if err := put(txn, versionKey(v.Deployment, v.Number), v); err != nil {
				return err
			}
			r := w.records[v.Deployment]
			if old := v.Number - keptVersions; old > 0 && old != r.Current && old != r.Previous {
				if err := txn.Delete(versionKey(v.Deployment, old)); err != nil {
					return err
				}
			}
		}
		for i := range w.audit {
			if err := putEntry(txn, &w.audit[i]); err != nil {
				return err
			}
		}
		if w.revision == 0 {
			return nil
		}
		return put(txn, []byte(revisionKey), w.revision)
	})
	c.unsure = c.unsure || errors.Is(err, store.ErrCommitUnknown)
	return err
}

// update commits to the host's space. What has become of a commit that failed is found
// out by reading, when the host is started again.
func (c *Controller) update(ctx context.Context, fn func(store.Txn) error) error {
	return store.Repeat(ctx, c.config.Store, store.HostSpace, fn)
}

func put(txn store.Txn, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return txn.Put(key, text, 0)
}

// putEntry adds a line to the audit log.
func putEntry(txn store.Txn, e *Entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return txn.PutStamped([]byte(auditPrefix), nil, text, 0)
}

// read reads all records.
func (c *Controller) read(ctx context.Context) (records map[string]*record, revision int64, err error) {
	records = map[string]*record{}
	err = c.config.Store.View(ctx, store.HostSpace, func(txn store.Txn) error {
		text, found, err := txn.Get([]byte(revisionKey))
		if err == nil && found {
			err = json.Unmarshal(text, &revision)
		}
		if err != nil {
			return err
		}
		return scan(txn, deploymentPrefix, func(key string, value []byte) error {
			r := new(record)
			records[key] = r
			return json.Unmarshal(value, r)
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("rollout: read what serves: %w", err)
	}
	return records, revision, nil
}

// scan calls fn with what stands below a prefix, in order.
func scan(txn store.Txn, prefix string, fn func(key string, value []byte) error) error {
	r := store.Range{Start: []byte(prefix), End: end(prefix)}
	for {
		page, err := txn.Scan(r)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := fn(strings.TrimPrefix(string(e.Key), prefix), e.Value); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		last := page.Entries[len(page.Entries)-1].Key
		r.Start = append(bytes.Clone(last), 0)
	}
}

// end is the first key behind all that begin with a prefix, which ends in a zero byte.
func end(prefix string) []byte { return append([]byte(prefix[:len(prefix)-1]), 1) }

// readVersion reads a version; ErrNotFound if there is none, or none any more.
func (c *Controller) readVersion(ctx context.Context, name string, number int) (*Version, error) {
	v := new(Version)
	err := c.config.Store.View(ctx, store.HostSpace, func(txn store.Txn) error {
		text, found, err := txn.Get(versionKey(name, number))
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("rollout: deployment %q: version %d: %w (the last %d are kept)", name, number, ErrNotFound, keptVersions)
		}
		return json.Unmarshal(text, v)
	})
	return v, err
}

// Versions returns the versions of a deployment that are kept, the newest first.
func (c *Controller) Versions(ctx context.Context, name string) (list []Version, err error) {
	err = c.config.Store.View(ctx, store.HostSpace, func(txn store.Txn) error {
		return scan(txn, versionPrefix+name+"\x00", func(_ string, text []byte) error {
			var v Version
			err := json.Unmarshal(text, &v)
			list = append(list, v)
			return err
		})
	})
	slices.Reverse(list)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("rollout: deployment %q: %w", name, ErrNotFound)
	}
	return list, err
}

// Version returns one version of a deployment.
func (c *Controller) Version(ctx context.Context, name string, number int) (*Version, error) {
	return c.readVersion(ctx, name, number)
}

// Audit returns up to limit lines of the audit log that are older than the one with the
// id before, or the newest, if that is empty; the newest first.
func (c *Controller) Audit(ctx context.Context, before string, limit int) (list []Entry, err error) {
	r := store.Range{Start: []byte(auditPrefix), End: end(auditPrefix), Limit: min(max(limit, 1), store.MaxPageSize), Reverse: true}
	if before != "" {
		stamp, err := hex.DecodeString(before)
		if err != nil || len(stamp) != store.StampSize {
			return nil, fmt.Errorf("rollout: audit log: %w: %q is no id of a line", ErrRefused, before)
		}
		r.End = append([]byte(auditPrefix), stamp...)
	}
	err = c.config.Store.View(ctx, store.HostSpace, func(txn store.Txn) error {
		page, err := txn.Scan(r)
		if err != nil {
			return err
		}
		list = make([]Entry, len(page.Entries))
		for i, e := range page.Entries {
			if err := json.Unmarshal(e.Value, &list[i]); err != nil {
				return err
			}
			list[i].ID = hex.EncodeToString(e.Key[len(auditPrefix):])
		}
		return nil
	})
	return list, err
}

// trimAudit drops the oldest lines of the audit log.
func (c *Controller) trimAudit(ctx context.Context) error {
	for {
		var old [][]byte
		err := c.config.Store.View(ctx, store.HostSpace, func(txn store.Txn) error {
			r := store.Range{Start: []byte(auditPrefix), End: end(auditPrefix), Reverse: true, KeysOnly: true}
			for seen := 0; ; {
				page, err := txn.Scan(r)
				if err != nil {
					return err
				}
				for _, e := range page.Entries {
					if seen++; seen > keptEntries && len(old) < store.MaxPageSize {
						old = append(old, bytes.Clone(e.Key))
					}
				}
				if !page.More {
					return nil
				}
				r.End = bytes.Clone(page.Entries[len(page.Entries)-1].Key)
			}
		})
		if err != nil || len(old) == 0 {
			return err
		}
		err = c.update(ctx, func(txn store.Txn) error {
			for _, key := range old {
				if err := txn.Delete(key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}
