package memlock

import (
	"reflect"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Text locks the memory of s, for as long as the process runs. The memory must not be freed before.
// A limit on locked memory (RLIMIT_MEMLOCK) that is too low prevents that, which is no error.
func Text[T ~string](s T) {
	if len(s) > 0 {
		lock(unsafe.Pointer(unsafe.StringData(string(s))), len(s))
	}
}

// Object is like Text for what v points to, directly and through the fields of structs. There must
// be no cycle of pointers.
func Object(v any) { object(reflect.ValueOf(v)) }

func object(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			lock(v.UnsafePointer(), int(v.Type().Elem().Size()))
			object(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			object(field)
		}
	}
}

// lock locks the pages of n bytes. They do not move: the garbage collector moves only stacks.
func lock(p unsafe.Pointer, n int) { _ = unix.Mlock(unsafe.Slice((*byte)(p), n)) }
