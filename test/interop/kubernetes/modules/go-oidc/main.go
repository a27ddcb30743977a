// Verifies tokens, one a line on standard input, against an issuer, by go-oidc v3; one JSON object a line on standard output.
//
// A kube-apiserver up to 1.37 has v2. The one after it puts a limit on how often v3 may fetch keys: in between it goes on with those that
// it has. So does this program, with the limit that it is told.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// verdict is what became of one token.
type verdict struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
	// Fetches of keys so far.
	Fetches int `json:"fetches"`
}

// keyFetches lets the keys be fetched once in every, and counts.
type keyFetches struct {
	base  http.RoundTripper
	keys  string
	every time.Duration

	mu    sync.Mutex
	count int
	last  time.Time
}

var errTooSoon = errors.New("keys were fetched a moment ago")

func (k *keyFetches) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.String() != k.keys {
		return k.base.RoundTrip(request)
	}
	k.mu.Lock()
	if time.Since(k.last) < k.every {
		k.mu.Unlock()
		return nil, errTooSoon
	}
	before := k.last
	k.last = time.Now()
	k.count++
	k.mu.Unlock()
	answer, err := k.base.RoundTrip(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		// What failed is tried again at once: the limit is for those who answer.
		k.mu.Lock()
		k.last = before
		k.mu.Unlock()
	}
	return answer, err
}

func (k *keyFetches) fetched() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count
}

func main() {
	issuer := flag.String("issuer", "", "issuer of the tokens")
	audience := flag.String("audience", "", "audience of the tokens")
	authority := flag.String("ca", "", "PEM file: who is trusted for the issuer")
	every := flag.Duration("every", 0, "keys are fetched once in this time at most")
	flag.Parse()

	fetches := &keyFetches{base: trusting(*authority), every: *every}
	client := oidc.ClientContext(context.Background(), &http.Client{Transport: fetches, Timeout: 10 * time.Second})
	provider, err := oidc.NewProvider(client, *issuer)
	if err != nil {
		log.Fatal(err)
	}
	var discovery struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&discovery); err != nil {
		log.Fatal(err)
	}
	fetches.keys = discovery.Keys
	verifier := provider.Verifier(&oidc.Config{
		ClientID:             *audience,
		SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256, oidc.PS256},
	})

	answers := json.NewEncoder(os.Stdout)
	tokens := bufio.NewScanner(os.Stdin)
	tokens.Buffer(nil, 64*1024)
	for tokens.Scan() {
		answer := verdict{OK: true}
		if _, err := verifier.Verify(client, tokens.Text()); err != nil {
			answer = verdict{Reason: err.Error()}
		}
		answer.Fetches = fetches.fetched()
		if err := answers.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
}

// trusting is a transport that trusts the authorities of a file and nobody else.
func trusting(file string) http.RoundTripper {
	pem, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		log.Fatalf("%s: no certificate", file)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: authorities}
	return transport
}
