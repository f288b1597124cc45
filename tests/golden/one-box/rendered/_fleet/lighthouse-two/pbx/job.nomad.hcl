# lighthouse/two: tells the overlay's members where the others are, and relays where no direct way opens.
# Rendered by RITI from the fleet; what is changed here is lost at the next render.
job "pilot--lighthouse--two" {
  type = "service"

  meta = {
    "riti.fleet" = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
    "riti.box"   = "lighthouse/two"
  }

  constraint {
    attribute = "${meta.riti.public_addr}"
    value     = "198.51.100.1"
  }

  update {
    health_check      = "task_states"
    min_healthy_time  = "1s"
    healthy_deadline  = "3m"
    progress_deadline = "5m"
  }

  group "lighthouse" {
    count = 1

    # Two instances with one certificate would draw the overlay's traffic to and fro between them, so a client that lost
    # its servers keeps its instance, and no other is started.
    disconnect {
      lost_after = "10m"
      replace    = false
    }

    # A few kilobytes of files; Nomad would reserve 300 MB for each PBX and run out of disk first.
    ephemeral_disk {
      size = 50
    }

    restart {
      attempts = 3
      interval = "1m"
      delay    = "1s"
      mode     = "delay"
    }

    consul {}

    # Nomad's templates read with the token; the tasks need none, so they are given none.
    vault {
      role         = "pbx-pilot--lighthouse--two"
      env          = false
      disable_file = true
      change_mode  = "noop"
    }

    network {
      mode = "bridge"
      port "nebula" {
        static       = 4243
        to           = 4242
        host_network = "public"
      }
    }

    task "overlay" {
      driver = "docker"
      config {
        image           = "riti/overlay:dev"
        command         = "/gate"
        args            = ["--interface", "riti", "--port", "4569", "--", "/nebula", "-config", "/local/overlay.yml"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        cap_add         = ["net_admin"]
        security_opt    = ["no-new-privileges"]
        devices         = [{ host_path = "/dev/net/tun", container_path = "/dev/net/tun" }]
      }
      # It changes with the fleet's block list, which Nebula takes up without touching the other tunnels.
      template {
        destination   = "local/overlay.yml"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<EOT
# lighthouse/two: Nebula. Rendered by RITI from the fleet; what is changed here is lost at the next render.
pki:
  ca: /local/ca.crt
  cert: /local/host.crt
  key: /secrets/host.key
  # Without it a blocked member's tunnel stays up.
  disconnect_invalid: true
  # Certificates that were shut out. It is read anew while tunnels are up, which stay as they are.
  blocklist:
{{- range keyOrDefault "riti/pilot/blocked" "[]" | regexReplaceAll "[^0-9a-f]+" " " | trimSpace | split " " }}{{ if . }}
    - "{{ . }}"{{ end }}{{ end }}
static_host_map:
  {}
lighthouse:
  am_lighthouse: true
  interval: 10
  hosts:
    []
listen:
  host: 0.0.0.0
  port: 4242
punchy:
  punch: true
  respond: true
relay:
  am_relay: true
  use_relays: false
# Who says nothing for 8 s is gone: what a relay carried goes on by the next one then, and not after 20 s.
timers:
  connection_alive_interval: 5
  pending_deletion_interval: 3
tun:
  dev: riti
  mtu: 1300
logging:
  level: warning
  format: json
firewall:
  # The company is a group in the certificate: separation does not rest on dial plans. It holds for both directions: what
  # was sent to somebody opens the way for an answer, and who is in no company is to have none of either.
  outbound:
    []
  inbound:
    []
EOT
      }
      # Certificates are no secret, and the controller looks whether they are there before it goes on (docs/overlay.md).
      template {
        destination   = "local/ca.crt"
        perms         = "0400"
        change_mode   = "signal"
        splay         = "0s"
        change_signal = "SIGHUP"
        data          = <<EOT
{{- $value := key "riti/pilot/pbx/lighthouse/two/1" }}{{ if $value | regexMatch `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` }}{{ with secret (printf "riti/data/pilot/lighthouse/two?version=%s" ($value | regexReplaceAll `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` "$1")) }}{{ .Data.data.overlay.ca }}{{ end }}{{ else }}{{ with key "riti/pilot/never" }}{{ end }}{{ end }}
EOT
      }
      template {
        destination   = "local/host.crt"
        perms         = "0400"
        change_mode   = "signal"
        splay         = "0s"
        change_signal = "SIGHUP"
        data          = <<EOT
{{- $value := key "riti/pilot/pbx/lighthouse/two/1" }}{{ if $value | regexMatch `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` }}{{ with secret (printf "riti/data/pilot/lighthouse/two?version=%s" ($value | regexReplaceAll `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` "$1")) }}{{ .Data.data.overlay.crt }}{{ end }}{{ else }}{{ with key "riti/pilot/never" }}{{ end }}{{ end }}
EOT
      }
      template {
        destination   = "secrets/host.key"
        perms         = "0400"
        change_mode   = "signal"
        splay         = "0s"
        change_signal = "SIGHUP"
        data          = <<EOT
{{- $value := key "riti/pilot/pbx/lighthouse/two/1" }}{{ if $value | regexMatch `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` }}{{ with secret (printf "riti/data/pilot/lighthouse/two?version=%s" ($value | regexReplaceAll `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` "$1")) }}{{ .Data.data.overlay.key }}{{ end }}{{ else }}{{ with key "riti/pilot/never" }}{{ end }}{{ end }}
EOT
      }
      logs {
        max_files     = 2
        max_file_size = 3
      }
      resources {
        cpu    = 20
        memory = 48
      }
    }
  }
}
