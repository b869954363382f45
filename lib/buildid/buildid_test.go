package buildid

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// program compiles an empty program with a build-id of the test's own.
func program(t testing.TB, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	src, out := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	if err := os.WriteFile(src, []byte("int main(void) { return 0; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command("gcc", append(flags, "-o", out, src)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, b)
	}
	return out
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return Read(f)
}

func TestRead(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff01234567"
	if got := hex.EncodeToString(read(t, program(t, "-Wl,--build-id=0x"+id))); got != id {
		t.Errorf("got %q, want %q", got, id)
	}
	if got := read(t, program(t, "-Wl,--build-id=none")); got != nil {
		t.Errorf("a program without: %x", got)
	}
	if got := read(t, "/proc/self/environ"); got != nil {
		t.Errorf("no ELF file: %x", got)
	}
}

// TestAgrees compares with another reader on this machine's libraries.
func TestAgrees(t *testing.T) {
	libs, err := filepath.Glob("/usr/lib/x86_64-linux-gnu/lib*.so.*")
	if err != nil || len(libs) == 0 {
		t.Fatalf("no libraries: %v", err)
	}
	found := 0
	for _, path := range libs {
		f, err := elf.Open(path)
		if err != nil {
			continue
		}
		var want []byte
		if s := f.Section(".note.gnu.build-id"); s != nil {
			if b, err := s.Data(); err == nil && len(b) > 16 {
				want = b[16:]
			}
		}
		f.Close()
		if got := read(t, path); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", path, got, want)
		}
		if want != nil {
			found++
		}
	}
	if found == 0 {
		t.Error("no library has a build-id")
	}
}

func TestOtherKinds(t *testing.T) {
	note := []byte("\x00\x00\x00\x04\x00\x00\x00\x02\x00\x00\x00\x03GNU\x00\xab\xcd\x00\x00")
	const header, entry = 52, 32
	b := make([]byte, header+entry)
	copy(b, "\x7fELF\x01\x02\x01") // 32 bit, big endian
	be := binary.BigEndian
	be.PutUint32(b[28:], header)
	be.PutUint16(b[42:], entry)
	be.PutUint16(b[44:], 1)
	be.PutUint32(b[header:], uint32(elf.PT_NOTE))
	be.PutUint32(b[header+4:], header+entry)
	be.PutUint32(b[header+16:], uint32(len(note)))
	if got := Read(bytes.NewReader(append(b, note...))); !bytes.Equal(got, []byte{0xab, 0xcd}) {
		t.Errorf("got %x", got)
	}
}

func TestNote(t *testing.T) {
	le := binary.LittleEndian
	other := "\x04\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00GNU\x00x\x00\x00\x00"
	id := "\x04\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00GNU\x00\x01\x02\x00\x00"
	for name, test := range map[string]struct{ notes, want string }{
		"alone": {id, "\x01\x02"}, "second": {other + id, "\x01\x02"}, "other": {other, ""}, "cut": {id[:len(id)-3], ""},
		"no padding": {id[:len(id)-2], "\x01\x02"}, "long name": {"\xff\xff\xff\xff" + id[4:], ""}, "long id": {id[:4] + "\xff\xff\xff\xff" + id[8:], ""},
		"empty id": {id[:4] + "\x00\x00\x00\x00" + id[8:], ""}, "nothing": {"", ""},
	} {
		if got := Note([]byte(test.notes), le); string(got) != test.want {
			t.Errorf("%s: %x", name, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:firstRead])
	f.Fuzz(func(t *testing.T, b []byte) {
		if id := Read(bytes.NewReader(b)); len(id) > maxID {
			t.Errorf("%d bytes", len(id))
		}
	})
}

func BenchmarkRead(b *testing.B) {
	f, err := os.Open(program(b))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for b.Loop() {
		Read(f)
	}
}
