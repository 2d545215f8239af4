package memlock

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// locked reports whether the memory at p is locked, by proc(5), smaps.
func locked(t *testing.T, p unsafe.Pointer) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(b)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= uintptr(p) && uintptr(p) < to
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			return strings.Contains(flags+" ", " lo ")
		}
	}
	t.Fatal("the memory is not mapped")
	return false
}

func TestText(t *testing.T) {
	s := string(append(make([]byte, 0, 1<<20), strings.Repeat("k", 1<<20)...)) // in pages of its own
	p := unsafe.Pointer(unsafe.StringData(s))
	if locked(t, p) {
		t.Fatal("locked before")
	}
	Text(s[:32])
	if !locked(t, p) {
		t.Error("not locked")
	}
	if last := unsafe.Add(p, len(s)-1); locked(t, last) {
		t.Error("more than the pages of the text is locked")
	}
	Text("")
}

// TestObject holds that the expanded key of a cipher is locked, which it has several pointers away.
func TestObject(t *testing.T) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	Object(aead)
	v := reflect.ValueOf(aead)
	for v.Kind() == reflect.Struct {
		v = v.Field(0)
	}
	if size := v.Type().Elem().Size(); size < 240 || !locked(t, v.UnsafePointer()) {
		t.Errorf("the expanded key, of %d bytes, is not locked", size)
	}
	Object((*int)(nil))
}
