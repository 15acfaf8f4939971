package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// startNginx starts nginx in front of origin. lock is the timeout of proxy_cache_lock; "" is without cache.
func startNginx(ctx context.Context, origin, lock string) (*process, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, err
		}
	}
	folder, err := os.MkdirTemp("", "httpflight-nginx")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(folder, 0o711); err != nil { // its workers may be another user's
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cache, use := "", ""
	if lock != "" {
		cache = "proxy_cache_path " + folder + "/cache keys_zone=pages:10m max_size=1g;"
		use = "proxy_cache pages; proxy_cache_lock on; proxy_cache_lock_age " + lock + "; proxy_cache_lock_timeout " + lock + ";"
	}
	config := filepath.Join(folder, "nginx.conf")
	text := strings.NewReplacer("FOLDER", folder, "CACHE", cache, "USE", use, "ADDRESS", address, "ORIGIN", origin).Replace(nginxConfig)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "-e", folder+"/error.log", "-c", config, "-p", folder)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{address, cmd, func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		os.RemoveAll(folder)
	}}
	for range 100 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return p, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("nginx doesn't listen at %s", address)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

const nginxConfig = `
daemon off;
pid FOLDER/nginx.pid;
worker_processes auto;
worker_rlimit_nofile 20000;
events { worker_connections 8000; }
http {
	access_log off;
	client_body_temp_path FOLDER/body;
	proxy_temp_path FOLDER/proxy;
	fastcgi_temp_path FOLDER/fastcgi;
	uwsgi_temp_path FOLDER/uwsgi;
	scgi_temp_path FOLDER/scgi;
	CACHE
	upstream origin { server ORIGIN; keepalive 100; }
	server {
		listen ADDRESS backlog=4096;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			USE
		}
	}
}
`
