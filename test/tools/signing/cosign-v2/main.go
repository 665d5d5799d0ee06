// cosign-v2 does what cosign 2 does with a key and without a transparency log, by its own packages. The whole cosign
// takes minutes to build, as it has the clients of every cloud in it.
//
//	cosign-v2 generate-key-pair <file>        writes <file>.key and <file>.pub
//	cosign-v2 sign <file>.key <image by digest>
//	cosign-v2 verify <file>.pub <image>
package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

var (
	noPassword = func(bool) ([]byte, error) { return nil, nil }
	options    = []ociremote.Option{ociremote.WithRemoteOptions(remote.WithUserAgent("cosign/v2"))}
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "generate-key-pair":
		return generate(args[1])
	case len(args) == 3 && args[0] == "sign":
		return sign(args[1], args[2])
	case len(args) == 3 && args[0] == "verify":
		return verify(args[1], args[2])
	}
	return fmt.Errorf("unknown command: %v", args)
}

func generate(file string) error {
	keys, err := cosign.GenerateKeyPair(noPassword)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".key", keys.PrivateBytes, 0o600); err != nil {
		return err
	}
	return os.WriteFile(file+".pub", keys.PublicBytes, 0o644)
}

func sign(keyFile, image string) error {
	digest, err := name.NewDigest(image, name.Insecure)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	signer, err := cosign.LoadPrivateKey(pem, nil, nil)
	if err != nil {
		return err
	}
	entity, err := ociremote.SignedEntity(digest, options...)
	if err != nil {
		return fmt.Errorf("accessing image: %w", err)
	}
	text, err := payload.Cosign{Image: digest}.MarshalJSON()
	if err != nil {
		return err
	}
	bytesOfSignature, err := signer.SignMessage(bytes.NewReader(text))
	if err != nil {
		return err
	}
	made, err := static.NewSignature(text, base64.StdEncoding.EncodeToString(bytesOfSignature))
	if err != nil {
		return err
	}
	signed, err := mutate.AttachSignatureToEntity(entity, made)
	if err != nil {
		return err
	}
	return ociremote.WriteSignatures(digest.Repository, signed, options...)
}

func verify(keyFile, image string) error {
	reference, err := name.ParseReference(image, name.Insecure)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey(pem)
	if err != nil {
		return err
	}
	verifier, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return err
	}
	_, _, err = cosign.VerifyImageSignatures(context.Background(), reference, &cosign.CheckOpts{
		RegistryClientOpts: options,
		SigVerifier:        verifier,
		ClaimVerifier:      cosign.SimpleClaimVerifier,
		IgnoreTlog:         true,
	})
	return err
}
