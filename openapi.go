// Package downlink is the root of the module. It holds the description of the HTTP interface for backends, so that
// every part can embed it; the program is cmd/downlink.
package downlink

import _ "embed"

// OpenAPI is openapi.yaml, in OpenAPI 3.0.3: what the intake listener serves, with examples.
//
//go:embed openapi.yaml
var OpenAPI []byte
