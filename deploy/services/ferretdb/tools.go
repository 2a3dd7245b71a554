//go:build tools

// Package ferretdb states which FerretDB `scripts/services install` builds: go.mod has its version
// and that of everything in it, go.sum their checksums.
package ferretdb

import _ "github.com/FerretDB/FerretDB/cmd/ferretdb"
