//go:build unix

package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// hangs is a test that tells by a connection that it runs, and ends when that
// is closed.
const hangs = `package hangs

import (
	"net"
	"os"
	"testing"
)

func TestHangs(t *testing.T) {
	connection, err := net.Dial("tcp", os.Getenv("MUTANTS_TEST_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	connection.Read(make([]byte, 1))
}
`

// A signal that asks the command to end leaves neither the copy of the module
// nor the tests behind.
func TestSignals(t *testing.T) {
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sent.String(), func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			temporary := t.TempDir()
			command := exec.CommandContext(t.Context(), os.Args[0], "-run", "Wait")
			command.Dir = t.TempDir()
			command.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+temporary, "MUTANTS_TEST_ADDR="+listener.Addr().String())
			for file, text := range map[string]string{"go.mod": "module hangs\n\ngo 1.26.0\n", "hangs_test.go": hangs} {
				if err := os.WriteFile(filepath.Join(command.Dir, file), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				ended <- command.Wait()
				listener.Close() // or it is waited for, if no test ran
			}()
			running, err := listener.Accept()
			if err != nil {
				t.Fatalf("no test ran: %v", <-ended)
			}
			defer running.Close()
			if err := command.Process.Signal(sent); err != nil {
				t.Fatal(err)
			}
			<-ended
			if got := command.ProcessState.ExitCode(); got != failure {
				t.Errorf("the status is %d, want %d: did it end itself?", got, failure)
			}
			if copies, err := filepath.Glob(filepath.Join(temporary, "mutants-*")); err != nil || len(copies) > 0 {
				t.Errorf("the copies %q are left; %v", copies, err)
			}
			// The connection ends with the process at its other end.
			if err := running.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := running.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the test still runs")
			}
		})
	}
}
