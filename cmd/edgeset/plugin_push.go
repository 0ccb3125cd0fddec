package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
)

// pluginPush prints the reference with the digest of what was pushed.
func pluginPush(args []string) error {
	f := newFlags("plugin push", "put a plugin into an OCI registry: push SOURCE oci://HOST[:PORT]/REPOSITORY[:TAG]")
	sign := f.String("sign", "", "file of the secret key to sign it with, whose password is in "+artifact.PasswordEnv+"; none: a signature in FILE.minisig goes along")
	annotations := map[string]string{}
	f.Func("annotate", "KEY=VALUE to add to the manifest, such as org.opencontainers.image.version=1.4; can be repeated", func(s string) error {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return errors.New("want KEY=VALUE")
		}
		annotations[key] = value
		return nil
	})
	rest, err := f.parseAnywhere(args)
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return misused("plugin push: want a source and a reference, such as signing.wasm oci://registry.example/plugins/signing:1.4")
	}
	ref, err := artifact.ParseReference(rest[1])
	if err != nil {
		return misused("plugin push: %v", err)
	}
	ctx, stop := interruptible()
	defer stop()
	p, err := readSource(ctx, rest[0])
	if err != nil {
		return err
	}
	if *sign != "" {
		signer, err := artifact.ReadSigner(*sign, os.Getenv(artifact.PasswordEnv))
		if err != nil {
			return err
		}
		p.Signature = signer.Sign(p.Wasm, rest[0], time.Now())
	}
	bar := newTransfer(os.Stderr, "pushed", ref)
	pinned, err := artifact.Push(ctx, ref, p.Wasm, artifact.PushOptions{
		Signature: p.Signature, Annotations: annotations, Progress: bar.report,
	})
	bar.end(err)
	if err != nil {
		return err
	}
	fmt.Println(pinned)
	return nil
}
