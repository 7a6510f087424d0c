// Command check reads what an Andromède ledger publishes with Go's sumdb/note and sumdb/tlog, the code that the Go
// project verifies its own checksum database with. Nothing of Andromède's is used.
//
//	check note      KEYS NOTE             signatures of a checkpoint
//	check inclusion KEYS RECEIPT          a .tlog-proof file that carries salt and event
//	check growth    KEYS OLD NEW PROOF    a consistency proof, one base64 hash a line
//	check tiles     KEYS BASE             every tile and entry under a URL or directory
//
// KEYS is a file with a verifier key in the last word of each line that begins with "log" or in the third of each
// that begins with "witness" (a tlog-policy file will do; keys of ML-DSA-44, which Go 1.19 lacks, are passed over).
// ANDROMEDE_TOKEN is sent as X-Auth-Token. Exit 0: everything holds; 1: it does not.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height      = 8
	cosignature = 4
	pqKey       = 6
)

// witness verifies C2SP cosignature/v1, which sumdb/note does not know.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)
	return ed25519.Verify(w.key, []byte(message), sig[8:])
}

func verifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("not a verifier key: %q", vkey)
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("not a verifier key: %q", vkey)
	}
	switch {
	case key[0] == pqKey:
		return nil, nil
	case key[0] != cosignature:
		return note.NewVerifier(vkey)
	}
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if len(key) != 1+ed25519.PublicKeySize || fmt.Sprintf("%x", hash[:4]) != parts[1] {
		return nil, fmt.Errorf("the key id does not fit: %q", vkey)
	}
	return witness{parts[0], binary.BigEndian.Uint32(hash[:]), key[1:]}, nil
}

// keys reads the verifier keys of logs and of witnesses from a policy file.
func keys(path string) (all []note.Verifier, logs map[string]bool, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	logs = map[string]bool{}
	for _, line := range strings.Split(string(data), "\n") {
		words := strings.Fields(line)
		var vkey string
		switch {
		case len(words) >= 2 && words[0] == "log":
			vkey = words[1]
		case len(words) >= 3 && words[0] == "witness":
			vkey = words[2]
		default:
			continue
		}
		v, err := verifier(vkey)
		if err != nil {
			return nil, nil, err
		}
		if v != nil {
			all = append(all, v)
			if words[0] == "log" {
				logs[v.Name()] = true
			}
		}
	}
	return all, logs, nil
}

// open verifies a checkpoint; the signatures of every known key hold and the log of its origin signed it.
func open(keyFile string, data []byte) (tlog.Tree, *note.Note, error) {
	known, logs, err := keys(keyFile)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	n, err := note.Open(data, note.VerifierList(known...))
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, nil, fmt.Errorf("a checkpoint has three lines")
	}
	signed := false
	for _, s := range n.Sigs {
		signed = signed || (s.Name == lines[0] && logs[s.Name])
	}
	if !signed {
		return tlog.Tree{}, nil, fmt.Errorf("the log did not sign")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, n, err
}

func openFile(keyFile, path string) (tlog.Tree, *note.Note, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	return open(keyFile, data)
}

func hashes(lines []string) (found []tlog.Hash, err error) {
	for _, line := range lines {
		if line == "" {
			continue
		}
		h, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		found = append(found, h)
	}
	return found, nil
}

func checkReceipt(keyFile, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parts := bytes.SplitN(data, []byte("\n\n"), 2)
	lines := strings.Split(string(parts[0]), "\n")
	if len(parts) != 2 || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a tlog-proof")
	}
	tree, _, err := open(keyFile, parts[1])
	if err != nil {
		return err
	}
	extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	salted := bytes.TrimPrefix(extra, []byte("andromede/extra/v1\n"))
	entry := sha256.Sum256(append([]byte("andromede/event/v1\n"), salted...))
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	path64, err := hashes(lines[3:])
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path64, tree.N, tree.Hash, index, tlog.RecordHash(entry[:]))
}

func checkGrowth(keyFile, oldPath, newPath, proofPath string) error {
	old, _, err := openFile(keyFile, oldPath)
	if err != nil {
		return err
	}
	now, _, err := openFile(keyFile, newPath)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(proofPath)
	if err != nil {
		return err
	}
	proof, err := hashes(strings.Split(string(data), "\n"))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, now.N, now.Hash, old.N, old.Hash)
}

// source reads C2SP tlog-tiles from a URL or a directory.
type source struct{ base string }

func (s source) get(path string) ([]byte, error) {
	if !strings.HasPrefix(s.base, "http") {
		return os.ReadFile(filepath.Join(s.base, filepath.FromSlash(path)))
	}
	request, err := http.NewRequest("GET", s.base+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Auth-Token", os.Getenv("ANDROMEDE_TOKEN"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

// path is Go's path of a tile without the height, which C2SP fixes.
func path(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
}

func (s source) Height() int                     { return height }
func (s source) SaveTiles([]tlog.Tile, [][]byte) {}
func (s source) ReadTiles(tiles []tlog.Tile) (found [][]byte, err error) {
	for _, t := range tiles {
		data, err := s.get(path(t))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

// entries reads the entries of one tile.
func (s source) entries(t tlog.Tile) (found [][]byte, err error) {
	name := strings.Replace(path(t), "tile/0/", "tile/entries/", 1)
	bundle, err := s.get(name)
	if err != nil {
		return nil, err
	}
	for len(bundle) >= 34 && binary.BigEndian.Uint16(bundle) == 32 {
		found = append(found, bundle[2:34])
		bundle = bundle[34:]
	}
	if len(bundle) != 0 || len(found) != t.W {
		return nil, fmt.Errorf("%s holds %d entries of 32 bytes, not %d", name, len(found), t.W)
	}
	return found, nil
}

// level lists the tiles of one level of a tree of size leaves.
func level(size int64, l int) (found []tlog.Tile) {
	hashes := size >> (height * l)
	for n := int64(0); n<<height < hashes; n++ {
		t := tlog.Tile{H: height, L: l, N: n, W: 1 << height}
		if rest := hashes - n<<height; rest < int64(t.W) {
			t.W = int(rest)
		}
		found = append(found, t)
	}
	return found
}

// checkTiles builds the tree anew from every published entry and compares each published tile with it, and the root.
// It does so because TileHashReader of x/mod 0.7.0 does not compare all full tiles with their parents when two
// subtrees of the right edge share a tile (it starts at len(stx), not at the number of different tiles).
func checkTiles(keyFile, base string) (int64, error) {
	from := source{strings.TrimSuffix(base, "/")}
	data, err := from.get("checkpoint")
	if err != nil {
		return 0, err
	}
	tree, _, err := open(keyFile, data)
	if err != nil {
		return 0, err
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (found []tlog.Hash, err error) {
		for _, i := range indexes {
			found = append(found, stored[i])
		}
		return found, nil
	})
	for _, t := range level(tree.N, 0) {
		found, err := from.entries(t)
		if err != nil {
			return 0, err
		}
		for i, entry := range found {
			more, err := tlog.StoredHashesForRecordHash(t.N<<height+int64(i), tlog.RecordHash(entry), reader)
			if err != nil {
				return 0, err
			}
			stored = append(stored, more...)
		}
	}
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil {
		return 0, err
	}
	if root != tree.Hash {
		return 0, fmt.Errorf("the entries give root %v, the signed one is %v", root, tree.Hash)
	}
	for l := 0; tree.N>>(height*l) > 0; l++ {
		for _, t := range level(tree.N, l) {
			want, err := tlog.ReadTileData(t, reader)
			if err != nil {
				return 0, err
			}
			got, err := from.get(path(t))
			if err != nil {
				return 0, err
			}
			if !bytes.Equal(got, want) {
				return 0, fmt.Errorf("%s is not what the entries give", path(t))
			}
		}
	}
	return tree.N, checkProofs(tree, from, reader)
}

// checkProofs reads some hashes as Go's own clients do, by tiles alone.
func checkProofs(tree tlog.Tree, from source, reader tlog.HashReader) error {
	for _, i := range []int64{0, tree.N / 2, tree.N - 1} {
		index := []int64{tlog.StoredHashIndex(0, i)}
		byTiles, err := tlog.TileHashReader(tree, from).ReadHashes(index)
		if err != nil {
			return err
		}
		byEntries, err := reader.ReadHashes(index)
		if err != nil {
			return err
		}
		if byTiles[0] != byEntries[0] {
			return fmt.Errorf("the tiles give another leaf %d than the entries", i)
		}
	}
	return nil
}

func run(args []string) (string, error) {
	if len(args) < 3 {
		return "", fmt.Errorf("usage: check note|inclusion|growth|tiles KEYS ...")
	}
	keyFile, rest := args[1], args[2:]
	switch {
	case args[0] == "note" && len(rest) == 1:
		tree, n, err := openFile(keyFile, rest[0])
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d entries, %d signatures hold", tree.N, len(n.Sigs)), nil
	case args[0] == "inclusion" && len(rest) == 1:
		return "the event is in the log", checkReceipt(keyFile, rest[0])
	case args[0] == "growth" && len(rest) == 3:
		return "the log grew", checkGrowth(keyFile, rest[0], rest[1], rest[2])
	case args[0] == "tiles" && len(rest) == 1:
		size, err := checkTiles(keyFile, rest[0])
		return fmt.Sprintf("%d entries lead to the signed root", size), err
	}
	return "", fmt.Errorf("unknown command %q", args[0])
}

func main() {
	said, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
	fmt.Println(said)
}
