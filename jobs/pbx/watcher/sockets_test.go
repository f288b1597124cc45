package main

import (
	"path/filepath"
	"testing"
)

func TestConnectsToPathsAndAddressesAndToNoName(t *testing.T) {
	for _, place := range []string{filepath.Join(t.TempDir(), "socket"), "127.0.0.1:0", "[::1]:0"} {
		listener, err := listen(place)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := dial(listener.Addr().String())
		if err != nil {
			t.Fatalf("%s: %v", place, err)
		}
		conn.Close()
		listener.Close()
		if _, err := dial(listener.Addr().String()); err == nil {
			t.Errorf("%s: nobody listens there", place)
		}
	}
	for _, place := range []string{"localhost:1", "127.0.0.1", ""} {
		if _, err := dial(place); err == nil {
			t.Errorf("%q is no place", place)
		}
		if _, err := listen(place); err == nil {
			t.Errorf("%q is no place", place)
		}
	}
}
