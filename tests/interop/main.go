// Verifies a log written by genepool with Go's own implementations of signed notes and of transparency logs:
// golang.org/x/mod/sumdb/note and golang.org/x/mod/sumdb/tlog. Reads the log's folder, nothing of genepool.
//
// Usage: main LOG VKEY OLD COUNT — the folder, the verifier key, an earlier size with its root on standard
// input (base64), and how many inclusion proofs to check.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

// tiles reads hash tiles from the folder. Go's tile/8/L/N is C2SP's tile/L/N.
type tiles struct{ root string }

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.root, path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// entry reads one leaf from its bundle: entries behind their lengths as big-endian uint16.
func entry(root string, index, size int64) ([]byte, error) {
	bundle := tlog.Tile{H: 8, L: 0, N: index / 256, W: 256}
	if rest := size - bundle.N*256; rest < 256 {
		bundle.W = int(rest)
	}
	path := strings.Replace(bundle.Path(), "tile/8/0/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	for at := int64(0); ; at++ {
		if len(data) < 2 {
			return nil, fmt.Errorf("%s ends before entry %d", path, index)
		}
		n := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+n {
			return nil, fmt.Errorf("%s is cut", path)
		}
		if at == index%256 {
			return data[2 : 2+n], nil
		}
		data = data[2+n:]
	}
}

func main() {
	root, vkey := os.Args[1], os.Args[2]
	old, err := strconv.ParseInt(os.Args[3], 10, 64)
	check(err, "old size")
	count, err := strconv.ParseInt(os.Args[4], 10, 64)
	check(err, "count")

	raw, err := os.ReadFile(filepath.Join(root, "checkpoint"))
	check(err, "checkpoint")
	verifier, err := note.NewVerifier(vkey)
	check(err, "vkey")
	signed, err := note.Open(raw, note.VerifierList(verifier))
	check(err, "signature")
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		check(fmt.Errorf("found %q", signed.Text), "checkpoint text")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "size")
	decoded, err := base64.StdEncoding.DecodeString(lines[2])
	check(err, "root")
	var head tlog.Hash
	copy(head[:], decoded)

	// TileHashReader authenticates every tile it reads against the head.
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: head}, tiles{root})
	step := size/count + 1
	proofs := 0
	for index := int64(0); index < size; index += step {
		data, err := entry(root, index, size)
		check(err, "entry")
		proof, err := tlog.ProveRecord(size, index, reader)
		check(err, "inclusion proof")
		check(tlog.CheckRecord(proof, size, head, index, tlog.RecordHash(data)), "inclusion")
		proofs++
	}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err, "old root")
	decoded, err = base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	check(err, "old root")
	var before tlog.Hash
	copy(before[:], decoded)
	tree, err := tlog.ProveTree(size, old, reader)
	check(err, "consistency proof")
	check(tlog.CheckTree(tree, size, head, old, before), "consistency")
	fmt.Printf("%d entries, %d inclusion proofs, 1 consistency proof from %d\n", size, proofs, old)
}
