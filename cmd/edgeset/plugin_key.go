package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
)

// pluginKeygen makes a pair of keys. It prints the public one, as a line for a file
// of keys.
func pluginKeygen(args []string) error {
	f := newFlags("plugin keygen", "make a key to sign plugins with: the secret one in FILE, encrypted if there is a password in "+artifact.PasswordEnv+", and the public one in FILE.pub")
	rest, err := f.parseAnywhere(args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return misused("plugin keygen: want the name of a file, such as plugins.key")
	}
	signer, secret, public, err := artifact.NewSigner(os.Getenv(artifact.PasswordEnv))
	if err != nil {
		return err
	}
	file := rest[0]
	if err := writeNew(file, secret, 0o600); err != nil {
		return err
	}
	if err := writeNew(file+".pub", public, 0o644); err != nil {
		return errors.Join(err, os.Remove(file)) // one without the other is of no use
	}
	fmt.Println(signer.Public())
	return nil
}

// writeNew writes a file that must not be there yet: a key that is overwritten is
// lost.
func writeNew(file string, data []byte, mode os.FileMode) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

// pluginSign prints a line for each plugin: the id of the key, the plugin's digest,
// and the file of the signature.
func pluginSign(args []string) error {
	f := newFlags("plugin sign", "sign plugins: writes FILE.minisig beside each FILE")
	key := f.String("key", "", "file of the secret key, whose password is in "+artifact.PasswordEnv)
	files, err := f.parseAnywhere(args)
	if err != nil {
		return err
	}
	if *key == "" {
		return misused("plugin sign: --key: want the file of a secret key")
	}
	if len(files) == 0 {
		return misused("plugin sign: want the file of a plugin")
	}
	signer, err := artifact.ReadSigner(*key, os.Getenv(artifact.PasswordEnv))
	if err != nil {
		return err
	}
	for _, file := range files {
		wasm, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		signature := file + artifact.SignatureEnding
		if err := writeWhole(signature, []byte(signer.Sign(wasm, file, time.Now()))); err != nil {
			return err
		}
		fmt.Printf("%s  %s  %s\n", signer.ID(), artifact.DigestOf(wasm), signature)
	}
	return nil
}
