// cosign-v3 does what cosign 3 does with a key and without a transparency log, by its own packages. The whole cosign
// takes minutes to build, as it has the clients of every cloud in it.
//
//	cosign-v3 sign <file>.key <image by digest>
//	cosign-v3 attest <file>.key <image by digest>
//	cosign-v3 verify <file>.pub <image>
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/cosign/v3/pkg/cosign"
	"github.com/sigstore/cosign/v3/pkg/cosign/bundle"
	ociremote "github.com/sigstore/cosign/v3/pkg/oci/remote"
	"github.com/sigstore/cosign/v3/pkg/types"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

const provenance = "https://slsa.dev/provenance/v1"

var options = []ociremote.Option{
	ociremote.WithRemoteOptions(remote.WithUserAgent("cosign/v3")),
	ociremote.WithNameOptions(name.Insecure),
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 3 {
		switch args[0] {
		case "sign":
			return attach(args[1], args[2], types.CosignSignPredicateType)
		case "attest":
			return attach(args[1], args[2], provenance)
		case "verify":
			return verify(args[1], args[2])
		}
	}
	return fmt.Errorf("unknown command: %v", args)
}

func attach(keyFile, image, predicateType string) error {
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
	if _, err := ociremote.SignedEntity(digest, options...); err != nil {
		return fmt.Errorf("accessing image: %w", err)
	}
	hash, err := v1.NewHash(digest.DigestStr())
	if err != nil {
		return err
	}
	statement, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"digest": map[string]string{hash.Algorithm: hash.Hex}}},
		"predicateType": predicateType,
		"predicate":     map[string]any{},
	})
	if err != nil {
		return err
	}
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02, nil, nil, nil, root.ServiceConfiguration{}, nil, root.ServiceConfiguration{})
	if err != nil {
		return err
	}
	content := &sign.DSSEData{Data: statement, PayloadType: "application/vnd.in-toto+json"}
	made, err := bundle.SignData(context.Background(), content, keypair{signer}, "", nil, nil, config, nil, bundle.SignOptions{})
	if err != nil {
		return err
	}
	return ociremote.WriteAttestationNewBundleFormat(digest, made, predicateType, options...)
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
	verifier, err := signature.LoadDefaultVerifier(key)
	if err != nil {
		return err
	}
	_, _, err = cosign.VerifyImageAttestations(context.Background(), reference, &cosign.CheckOpts{
		RegistryClientOpts: options,
		SigVerifier:        verifier,
		ClaimVerifier:      cosign.IntotoSubjectClaimVerifier,
		NewBundleFormat:    true,
		IgnoreTlog:         true,
	}, name.Insecure)
	return err
}

// A key of the curve P-256, as cosign generates it
type keypair struct{ signature.SignerVerifier }

func (k keypair) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

func (k keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

func (k keypair) GetHint() []byte {
	der, _ := x509.MarshalPKIXPublicKey(k.GetPublicKey())
	hash := sha256.Sum256(der)
	return []byte(base64.StdEncoding.EncodeToString(hash[:]))
}

func (k keypair) GetKeyAlgorithm() string { return "ECDSA" }

func (k keypair) GetPublicKey() crypto.PublicKey {
	key, _ := k.PublicKey()
	return key
}

func (k keypair) GetPublicKeyPem() (string, error) {
	pem, err := cryptoutils.MarshalPublicKeyToPEM(k.GetPublicKey())
	return string(pem), err
}

func (k keypair) SignData(_ context.Context, data []byte) ([]byte, []byte, error) {
	made, err := k.SignMessage(bytes.NewReader(data))
	digest := sha256.Sum256(data)
	return made, digest[:], err
}
