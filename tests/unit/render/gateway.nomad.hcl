# The gateway for boxes of the fleet demo: all that the public network reaches of Consul and Vault.
# Written by `riti gateway job` from fleet.yaml; what is changed here is lost at the next `riti gateway run`.
job "riti-demo-gateway" {
  namespace = "default"
  node_pool = "default"
  type      = "service"

  meta = {
    "riti.fleet" = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
    "riti.part"  = "gateway"
  }

  # One after the other, each known to reach the servers; a version that does not goes back by itself.
  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "5s"
    healthy_deadline  = "5m"
    progress_deadline = "10m"
    auto_revert       = true
  }

  group "gateway" {
    count = 2

    # On as many nodes as there are, and all on one where there is but one.
    spread {
      attribute = "${node.unique.id}"
    }

    restart {
      attempts = 3
      interval = "1m"
      delay    = "2s"
      mode     = "delay"
    }

    reschedule {
      unlimited      = true
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "5m"
    }

    ephemeral_disk {
      size = 100
    }

    network {
      mode = "host"
      port "https" {
        static       = 8443
        host_network = "public"
      }
      port "figures" {}
    }

    service {
      name     = "riti-demo-gateway"
      provider = "nomad"
      port     = "https"

      check {
        name     = "healthz"
        type     = "http"
        port     = "figures"
        path     = "/healthz"
        interval = "10s"
        timeout  = "5s"
        check_restart {
          limit = 3
          grace = "30s"
        }
      }

      check {
        name     = "readyz"
        type     = "http"
        port     = "figures"
        path     = "/readyz"
        interval = "5s"
        timeout  = "5s"
      }
    }

    # The template reads with the token; the task faces the Internet, and is given none.
    vault {
      role         = "riti-demo-gateway"
      env          = false
      disable_file = true
      change_mode  = "noop"
    }

    task "gateway" {
      driver = "docker"
      user   = "10001:10001"

      config {
        image = "riti/gateway:1"
        # a node's own agents listen at its loopback
        network_mode    = "host"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 200
        ulimit {
          nofile = "17000:17000"
        }
      }

      env {
        RITI_LISTEN  = "${NOMAD_ADDR_https}"
        RITI_FIGURES = "${NOMAD_ADDR_figures}"
      }

      template {
        destination = "local/haproxy.cfg"
        change_mode = "noop"
        data        = <<EOT
# The gateway of the fleet demo: boxes on the one side, Consul and Vault on the other.
# Written by `riti gateway job` from fleet.yaml. What a box needs is named here; nothing else reaches a server.
global
  log stdout format raw local0
  maxconn 4000
  # A header must fit into one buffer, and so must a body that is looked into.
  tune.bufsize 32768
  tune.http.maxhdr 40
  # An old process lives on for the blocking queries that it holds, and no longer.
  hard-stop-after 12m
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
  # A resumed session would be believed without its certificate being looked at again.
  tune.ssl.cachesize 0

defaults
  mode http
  log global
  option dontlognull
  option redispatch
  retries 2
  timeout connect 5s
  # headers, whole, and the handshake before them: who sends a byte now and then is cut off
  timeout http-request 10s
  timeout client 30s
  timeout http-keep-alive 60s
  timeout queue 10s
  # Consul holds a blocking query for up to 10 min and a sixteenth of it.
  timeout server 11m

# Names are asked for again, so that a server may move.
resolvers node
  parse-resolv-conf
  hold valid 10s

# Each instance counts for itself: boxes that spread over two have twice as much.
backend per_address
  stick-table type ipv6 size 100k expire 2m store conn_cur,conn_rate(10s)

backend per_stranger
  stick-table type ipv6 size 100k expire 2m store http_req_rate(10s)

backend per_box
  stick-table type string len 80 size 50k expire 2m store http_req_rate(10s),conn_cur

frontend boxes
  # HTTP/1.1 alone, since that is what boxes speak. A box without a certificate can only enroll. One with a certificate
  # that has expired, or is not by the boxes' authority, is such a one: it could else not come back by a new claim.
  bind "$${RITI_LISTEN}" ssl crt /secrets/gateway.pem ca-file /secrets/boxes.pem verify optional crt-ignore-err all ca-ignore-err all alpn http/1.1 proto h1
  # The path without its query, and no header: neither claim nor token is ever written down.
  log-format '{"at":"%tr","from":"%ci","box":"%[var(txn.box)]","method":"%HM","path":"%[var(txn.path),json(utf8s)]","api":"%[var(txn.api)]","status":%ST,"bytes":%B,"ms":%Ta,"server":"%s","end":"%ts"}'

  # Before the handshake, which costs most.
  tcp-request connection track-sc1 src table per_address
  tcp-request connection reject if { sc1_conn_rate gt 200 } || { sc1_conn_cur gt 2000 }

  http-request set-var(txn.path) path,bytes(0,200)
  http-request set-var(txn.box) ssl_c_s_dn(cn) if { ssl_c_used } { ssl_c_verify 0 } { ssl_c_err 0 } { ssl_c_ca_err 0 }
  acl is_named var(txn.box) -m len 1:80
  http-request track-sc0 var(txn.box) table per_box if is_named
  http-request track-sc2 src table per_stranger unless is_named
  # A box asks for its configuration and for the block list at the same time, and reports meanwhile.
  http-request return status 429 content-type text/plain string "too many requests of one box\n" hdr Retry-After 10 if is_named { sc0_http_req_rate gt 50 }
  http-request return status 429 content-type text/plain string "too many requests at a time of one box\n" hdr Retry-After 10 if is_named { sc0_conn_cur gt 8 }
  http-request return status 429 content-type text/plain string "too many requests from one address\n" hdr Retry-After 10 if !is_named { sc2_http_req_rate gt 500 }

  # --- which of the APIs it is: the path as it was sent, by its letters; so no encoding, case, // or ; is another spelling
  # (but for the colon of a check's name, which libraries write as %3A)
  acl get method GET
  acl put method PUT
  acl post method POST
  acl write method PUT POST
  http-request set-var-fmt(txn.query) "?%[query]"
  acl no_query var(txn.query) -m str ?
  acl kv_query var(txn.query) -m reg ^[?](?:(?:(?:index|cas)=[0-9]{1,20}|wait=[0-9.]{1,8}(?:ms|s|m)|dc=[a-z0-9_-]{1,64}|(?:raw|stale|consistent)(?:=1?)?)(?:&|$))*$
  acl dc_query var(txn.query) -m reg ^[?](?:dc=[a-z0-9_-]{1,64})?$
  acl note_query var(txn.query) -m reg ^[?](?:note=[^&]{0,4000}|replace-existing-checks(?:=[a-z0-9]*)?)?$
  acl version_query var(txn.query) -m reg ^[?](?:version=[0-9]{1,10})?$

  http-request set-var(txn.api) str(consul-login) if post dc_query { path /v1/acl/login }
  http-request set-var(txn.api) str(consul-logout) if post no_query { path /v1/acl/logout }
  http-request set-var(txn.api) str(enroll) if get kv_query { path -m reg ^/v1/kv/riti/demo/enroll/[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*/(request|reply)$ }
  http-request set-var(txn.api) str(enroll) if put kv_query { path -m reg ^/v1/kv/riti/demo/enroll/[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*/request$ }
  http-request set-var(txn.api) str(own) if get kv_query { path -m reg ^/v1/kv/riti/demo/(pbx/[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*/box/[0-9]{1,4}|image/[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*|box/[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*/(word|report|generation))$ }
  http-request set-var(txn.api) str(own) if put kv_query { path -m reg ^/v1/kv/riti/demo/box/[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*/(word|report|generation)$ }
  http-request set-var(txn.api) str(own) if get kv_query { path -m reg ^/v1/kv/riti/demo/generation/[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*$ }
  http-request set-var(txn.api) str(blocked) if get kv_query { path /v1/kv/riti/demo/blocked }
  http-request set-var(txn.api) str(register) if put note_query { path /v1/agent/service/register }
  http-request set-var(txn.api) str(check) if put note_query { path -m reg ^/v1/agent/(service/deregister|check/(pass|warn|fail|update))/(service(:|%3A))?box-[a-z0-9-]{1,80}$ }
  http-request set-var(txn.api) str(vault-login) if write no_query { path /v1/auth/riti-cert-demo/login }
  http-request set-var(txn.api) str(vault-token) if write no_query { path /v1/auth/token/renew-self /v1/auth/token/revoke-self }
  http-request set-var(txn.api) str(vault-token) if get no_query { path /v1/auth/token/lookup-self }
  http-request set-var(txn.api) str(document) if get version_query { path -m reg ^/v1/riti/data/demo/box/[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*$ }
  http-request set-var(txn.api) str(vault-identity) if get no_query { path /v1/identity/oidc/token/riti-box-demo }
  http-request return status 404 content-type text/plain string "no box needs this\n" unless { var(txn.api) -m found }

  # --- what only a box with its certificate may, and that of its own name alone: a token by itself opens nothing
  acl by_consul var(txn.api) -m str consul-login consul-logout enroll own blocked register check
  acl for_anybody var(txn.api) -m str consul-login consul-logout enroll
  http-request return status 403 content-type text/plain string "this needs the box's certificate\n" if !for_anybody !is_named
  http-request set-var-fmt(txn.unit) "demo--%[path,field(7,/)]--%[path,field(8,/)]" if { var(txn.api) -m str enroll own document }
  http-request set-var-fmt(txn.check) "box-%[var(txn.box)]" if { var(txn.api) -m str check }
  http-request set-var(txn.asked) path,regsub(^/v1/agent/[a-z]*/[a-z]*/,),regsub(^service:,),regsub(^service%3A,) if { var(txn.api) -m str check }
  http-request return status 403 content-type text/plain string "another box's\n" if is_named { var(txn.api) -m str enroll own document } !{ var(txn.box),strcmp(txn.unit) eq 0 }
  http-request return status 403 content-type text/plain string "another box's\n" if { var(txn.api) -m str check } !{ var(txn.check),strcmp(txn.asked) eq 0 }

  # --- sizes
  http-request return status 431 content-type text/plain string "headers are too long\n" if { req.hdrs,length gt 8192 }
  http-request return status 411 content-type text/plain string "say the body's length\n" if { req.fhdr(transfer-encoding) -m found }
  http-request return status 411 content-type text/plain string "say the body's length\n" if write !{ req.fhdr(content-length) -m found }
  http-request return status 413 content-type text/plain string "the body is too long\n" if { req.body_size gt 16384 }
  http-request return status 413 content-type text/plain string "no body belongs here\n" if get { req.body_size gt 0 }
  # whole, and soon; else 408
  http-request wait-for-body time 10s if write { req.body_size gt 0 }

  # --- what a body may say. Other login methods of the same Consul are none of a box's; and a check that is not one of
  # time-outs would have Consul's agent call whatever address the box names.
  acl login_body req.body -m reg '^\{(?:"AuthMethod": ?"riti-(?:claim|box)-demo"(?:, ?)?|"BearerToken": ?"[A-Za-z0-9._-]+"(?:, ?)?)+\}$'
  acl register_body req.body -i -m reg '^\{(?:"(?:id|name)": ?"box-[a-z0-9-]+"(?:, ?)?|"check": ?\{(?:"(?:checkid|name|ttl|status|notes|deregistercriticalserviceafter)": ?"[A-Za-z0-9 ._:-]*"(?:, ?)?)+\}(?:, ?)?)+\}$'
  http-request return status 403 content-type text/plain string "no login method of boxes\n" if { var(txn.api) -m str consul-login } !login_body
  http-request return status 403 content-type text/plain string "not a box's service\n" if { var(txn.api) -m str register } !register_body

  # --- what is passed on: these headers and no other, so that none forges a certificate, a source or a namespace
  http-request del-header ^(?!(?:host|user-agent|accept|content-length|content-type|x-consul-token|x-vault-token|x-vault-request)$) -m reg
  http-request del-header X-Vault-Token if by_consul
  http-request del-header X-Consul-Token unless by_consul
  http-request set-header X-Forwarded-For %[src]
  # RFC 9440. The handshake has proved that the box holds its key; Vault verifies the chain once more.
  http-request set-header Client-Cert ":%[ssl_c_der,base64]:" if is_named !by_consul

  # A box with a wrong clock reads the time here, once it knows whom it talks to.
  http-after-response set-header Date %[date,http_date]
  http-after-response set-header Retry-After 10 if { status 503 }

  use_backend agents if { var(txn.api) -m str register check }
  use_backend consul if by_consul
  default_backend vault

backend consul
  balance leastconn
  option httpchk
  http-check send meth GET uri /v1/status/leader hdr Host gateway
  # An agent without a leader says "".
  http-check expect rstring :[0-9]
  default-server check inter 2s fall 2 rise 2 on-marked-down shutdown-sessions
  server consul-1 127.0.0.1:8500
  server consul-2 10.0.0.2:8501 ssl verify required ca-file /local/ca.pem

# A service belongs to the agent at which it was registered: a box goes to the same one, as long as that lives.
backend agents
  balance hash var(txn.box)
  hash-type consistent
  option httpchk
  http-check send meth GET uri /v1/status/leader hdr Host gateway
  http-check expect rstring :[0-9]
  default-server check inter 2s fall 2 rise 2 on-marked-down shutdown-sessions
  server consul-1 127.0.0.1:8500
  server consul-2 10.0.0.2:8501 ssl verify required ca-file /local/ca.pem

backend vault
  balance leastconn
  option httpchk
  http-check send meth GET uri /v1/sys/health hdr Host gateway hdr X-Forwarded-For 127.0.0.1
  # The active one alone: a standby says 429, a sealed one 503.
  http-check expect status 200
  default-server check inter 2s fall 2 rise 2 on-marked-down shutdown-sessions
  server vault-1 vault.example:8202 ssl crt /secrets/vault.pem verify required ca-file /local/ca.pem resolvers node init-addr last,libc,none verifyhost vault.example

# For Nomad and Prometheus, at a port of its own.
frontend figures
  bind "$${RITI_FIGURES}"
  no log
  http-request use-service prometheus-exporter if { path /metrics }
  http-request return status 200 content-type text/plain string "lives\n" if { path /healthz }
  http-request return status 503 content-type text/plain string "no server behind\n" if { path /readyz } { nbsrv(consul) eq 0 } || { path /readyz } { nbsrv(vault) eq 0 }
  http-request return status 200 content-type text/plain string "ready\n" if { path /readyz }
  http-request return status 404
EOT
      }

      template {
        destination = "local/ca.pem"
        change_mode = "noop"
        data        = <<EOT
-----BEGIN CERTIFICATE-----
MIIB
-----END CERTIFICATE-----
EOT
      }

      # A new certificate is taken up without a connection lost: the old process ends when its last one has.
      template {
        destination   = "secrets/gateway.pem"
        perms         = "0400"
        uid           = 10001
        gid           = 10001
        change_mode   = "signal"
        change_signal = "SIGUSR2"
        splay         = "0s"
        data          = <<EOT
{{ with secret "riti/data/_gateway/demo" }}{{ with .Data.data.certificate }}{{ . }}{{ end }}{{ end }}
EOT
      }
      template {
        destination   = "secrets/vault.pem"
        perms         = "0400"
        uid           = 10001
        gid           = 10001
        change_mode   = "signal"
        change_signal = "SIGUSR2"
        splay         = "0s"
        data          = <<EOT
{{ with secret "riti/data/_gateway/demo" }}{{ with .Data.data.vault_client }}{{ . }}{{ end }}{{ end }}
EOT
      }

      # Whoever signed boxes' certificates, and what `boxes_authorities` adds while one authority takes over from another.
      template {
        destination   = "secrets/boxes.pem"
        perms         = "0400"
        uid           = 10001
        gid           = 10001
        change_mode   = "signal"
        change_signal = "SIGUSR2"
        splay         = "0s"
        data          = <<EOT
{{ with secret "riti-pki-demo/cert/ca" }}{{ .Data.certificate }}{{ end }}
{{ with secret "riti/data/_gateway/demo" }}{{ with .Data.data.boxes_authorities }}{{ . }}{{ end }}{{ end }}
EOT
      }

      # It takes nobody new, and ends when the last has gone, or then: a client's max_kill_timeout, 30s by default.
      kill_signal  = "SIGUSR1"
      kill_timeout = "30s"

      logs {
        max_files     = 5
        max_file_size = 10
      }

      resources {
        cpu    = 200
        memory = 512
      }
    }
  }
}
