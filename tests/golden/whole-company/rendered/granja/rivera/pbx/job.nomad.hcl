# granja/rivera: one PBX. Rendered by RITI from the fleet; what is changed here is lost at the next render.
# Whatever can be reloaded (dial plan, peers) comes from Consul and is no part of this job, since any change of
# the job's own text replaces the task and would cut its calls.
job "whole--granja--rivera" {
  type = "service"

  meta = {
    "riti.fleet" = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
    "riti.box"   = "granja/rivera"
  }

  constraint {
    attribute = "${meta.riti.public_addr}"
    operator  = "is_set"
  }

  update {
    max_parallel      = 1
    health_check      = "task_states"
    min_healthy_time  = "1s"
    # an image may be on its way for as long
    healthy_deadline  = "5m"
    # none: Nomad takes no kill_timeout that is longer. The first unhealthy allocation fails the deployment; the time
    # that it waits for the one before to end does not count.
    progress_deadline = "0s"
  }

  group "pbx" {
    count = 1

    # A host that loses Nomad's servers keeps its PBX and its calls, and where it is back soon, nothing has happened.
    # Nomad itself would place another instance at once: so it places none, and RITI's controller gives this one up
    # after ten minutes (ritilib/sync/lost.py). Another then comes, and this one ends with its last call.
    disconnect {
      lost_after = "24h"
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

    network {
      mode = "bridge"
      port "nebula" {
        to           = 4242
        host_network = "public"
      }
    }

    # Each allocation takes the next generation before its overlay starts, and generation mod 2 is its address: so it
    # shares none with the one before, which may be alive behind a broken link.
    task "take" {
      driver = "docker"
      lifecycle {
        hook = "prestart"
      }
      consul {}
      config {
        image           = "riti/overlay:dev"
        command         = "/gate"
        args            = ["take", "--key", "riti/whole/generation/granja/rivera", "--taken", "/alloc/data/taken", "--token", "/alloc/data/turn.token", "--lost-after", "10m"]
        # Consul's agent listens at the node's own loopback
        network_mode    = "host"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
      }
      env {
        RITI_CONSUL_ADDR = "${meta.riti.consul_addr}"
      }
      logs {
        max_files     = 1
        max_file_size = 1
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }

    # Without an identity of its own, for which Nomad would have it wait a minute once an allocation ends (1.10.5): it
    # uses the token that take leaves to root alone, which Nomad revokes with the allocation.
    task "release" {
      driver = "docker"
      lifecycle {
        hook = "poststop"
      }
      # an allocation that could not say that it has ended ends all the same
      restart {
        attempts = 0
        mode     = "fail"
      }
      config {
        image           = "riti/overlay:dev"
        command         = "/gate"
        args            = ["release", "--key", "riti/whole/generation/granja/rivera", "--taken", "/alloc/data/taken", "--token", "/alloc/data/turn.token"]
        # Consul's agent listens at the node's own loopback
        network_mode    = "host"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
      }
      env {
        RITI_CONSUL_ADDR = "${meta.riti.consul_addr}"
      }
      logs {
        max_files     = 1
        max_file_size = 1
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }

    task "overlay" {
      driver = "docker"
      consul {}

      # Nomad's templates read with the token; the tasks need none, so they are given none.
      vault {
        role         = "pbx-whole--granja--rivera"
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      lifecycle {
        hook    = "prestart"
        sidecar = true
      }
      env {
        RITI_PUBLIC_ADDR = "${meta.riti.public_addr}"
      }
      config {
        image           = "riti/overlay:dev"
        command         = "/gate"
        args            = ["--interface", "riti", "--port", "4569", "--taken", "/alloc/data/taken", "--", "/nebula", "-config", "/local/overlay.yml"]
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
# pbx of granja/rivera: Nebula. Rendered by RITI from the fleet; what is changed here is lost at the next render.
pki:
  ca: /local/ca.crt
  cert: /local/host.crt
  key: /local/host.key
  # Without it a blocked member's tunnel stays up.
  disconnect_invalid: true
  # Certificates that were shut out. It is read anew while tunnels are up, which stay as they are.
  blocklist:
{{- range keyOrDefault "riti/whole/blocked" "[]" | regexReplaceAll "[^0-9a-f]+" " " | trimSpace | split " " }}{{ if . }}
    - "{{ . }}"{{ end }}{{ end }}
static_host_map:
  "100.80.0.1": ["192.0.2.1:4242"]
  "100.80.0.2": ["198.51.100.1:4243"]
lighthouse:
  am_lighthouse: false
  interval: 10
  hosts:
    - "100.80.0.1"
    - "100.80.0.2"
  advertise_addrs:
    - '{{ env "RITI_PUBLIC_ADDR" }}:{{ env "NOMAD_HOST_PORT_nebula" }}'
listen:
  host: 0.0.0.0
  port: 4242
punchy:
  punch: true
  respond: true
relay:
  am_relay: false
  use_relays: true
  relays:
    - "100.80.0.1"
    - "100.80.0.2"
# A relay answers first. So a call that goes by one asks anew where the other is, and tries each way there, every two
# seconds: the first that opens is taken. Without it the relay would carry 20 s of the call, or all of it where the
# router of one end has another port for each destination and the other end began.
counters:
  requery_every_packets: 50
  try_promote: 100
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
    - port: any
      proto: icmp
      group: "granja"
    - port: 4569
      proto: udp
      group: "granja"
  inbound:
    - port: any
      proto: icmp
      group: "granja"
    - port: 4569
      proto: udp
      group: "granja"
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
{{- $value := key "riti/whole/pbx/granja/rivera/1" }}{{ if $value | regexMatch `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` }}{{ with secret (printf "riti/data/whole/pbx/granja/rivera?version=%s" ($value | regexReplaceAll `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` "$1")) }}{{ .Data.data.overlay.ca }}{{ end }}{{ else }}{{ with key "riti/whole/never" }}{{ end }}{{ end }}
EOT
      }
      template {
        destination   = "local/host-0.crt"
        perms         = "0400"
        change_mode   = "signal"
        splay         = "0s"
        change_signal = "SIGHUP"
        data          = <<EOT
{{- $value := key "riti/whole/pbx/granja/rivera/1" }}{{ if $value | regexMatch `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` }}{{ with secret (printf "riti/data/whole/pbx/granja/rivera?version=%s" ($value | regexReplaceAll `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` "$1")) }}{{ .Data.data.overlay.crt }}{{ end }}{{ else }}{{ with key "riti/whole/never" }}{{ end }}{{ end }}
EOT
      }
      template {
        destination   = "secrets/host-0.key"
        perms         = "0400"
        change_mode   = "signal"
        splay         = "0s"
        change_signal = "SIGHUP"
        data          = <<EOT
{{- $value := key "riti/whole/pbx/granja/rivera/1" }}{{ if $value | regexMatch `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` }}{{ with secret (printf "riti/data/whole/pbx/granja/rivera?version=%s" ($value | regexReplaceAll `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` "$1")) }}{{ .Data.data.overlay.key }}{{ end }}{{ else }}{{ with key "riti/whole/never" }}{{ end }}{{ end }}
EOT
      }
      template {
        destination   = "local/host-1.crt"
        perms         = "0400"
        change_mode   = "signal"
        splay         = "0s"
        change_signal = "SIGHUP"
        data          = <<EOT
{{- $value := key "riti/whole/pbx/granja/rivera/1" }}{{ if $value | regexMatch `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` }}{{ with secret (printf "riti/data/whole/pbx/granja/rivera?version=%s" ($value | regexReplaceAll `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` "$1")) }}{{ .Data.data.overlay_second.crt }}{{ end }}{{ else }}{{ with key "riti/whole/never" }}{{ end }}{{ end }}
EOT
      }
      template {
        destination   = "secrets/host-1.key"
        perms         = "0400"
        change_mode   = "signal"
        splay         = "0s"
        change_signal = "SIGHUP"
        data          = <<EOT
{{- $value := key "riti/whole/pbx/granja/rivera/1" }}{{ if $value | regexMatch `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` }}{{ with secret (printf "riti/data/whole/pbx/granja/rivera?version=%s" ($value | regexReplaceAll `(?s)^\{.*"secrets_version": ([0-9]{1,15})\}$` "$1")) }}{{ .Data.data.overlay_second.key }}{{ end }}{{ else }}{{ with key "riti/whole/never" }}{{ end }}{{ end }}
EOT
      }
      logs {
        max_files     = 2
        max_file_size = 3
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }

    task "pbx" {
      driver = "docker"
      user   = "10001:10001"
      config {
        image           = "riti/pbx:dev"
        # chan_iax2 listens nowhere when its address is not there yet, and after a reload on all of them: so the watcher
        # waits for the overlay's address, leaves itself behind, and becomes Asterisk: the task is Asterisk's own process.
        # The overlay's gate closes the other ways. With --stay whoever ends this task ends it with its last call, and
        # kill_timeout is for how long.
        command         = "/watcher"
        args            = ["start", "--stay", "--pair", "100.80.0.10", "--pair", "100.80.0.11", "--taken", "/alloc/data/taken", "--bound", "/var/run/asterisk/bind.conf", "--interface", "riti", "--timeout", "60s", "--peer", "box", "--publish", "/alloc/data/pbx.json", "--config", "/local/asterisk/words.txt", "--config", "/local/asterisk/extensions.conf", "--config", "/secrets/iax.conf", "--", "/usr/sbin/asterisk", "-f", "-C", "/local/asterisk/asterisk.conf"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 200
        mount {
          type   = "tmpfs"
          target = "/var/lib/asterisk"
          tmpfs_options {
            size = 16777216
            mode = 1023
          }
        }
        mount {
          type   = "tmpfs"
          target = "/var/log/asterisk"
          tmpfs_options {
            size = 16777216
            mode = 1023
          }
        }
        mount {
          type   = "tmpfs"
          target = "/var/run/asterisk"
          tmpfs_options {
            size = 16777216
            mode = 1023
          }
        }
        mount {
          type   = "tmpfs"
          target = "/var/spool/asterisk"
          tmpfs_options {
            size = 16777216
            mode = 1023
          }
        }
      }
      consul {}

      # Nomad's templates read with the token; the tasks need none, so they are given none.
      vault {
        role         = "pbx-whole--granja--rivera"
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      template {
        destination = "local/asterisk/acl.conf"
        change_mode = "noop"
        data        = <<EOT

EOT
      }
      template {
        destination = "local/asterisk/asterisk.conf"
        change_mode = "noop"
        data        = <<EOT
[directories]
astetcdir => /local/asterisk
astmoddir => /usr/lib/asterisk/modules
astvarlibdir => /usr/share/asterisk
astdatadir => /usr/share/asterisk
astdbdir => /var/lib/asterisk
astkeydir => /usr/share/asterisk
astagidir => /var/lib/asterisk
astspooldir => /var/spool/asterisk
astrundir => /var/run/asterisk
astlogdir => /var/log/asterisk
astsbindir => /usr/sbin

[options]
documentation_language = en_US
dontwarn = yes
hideconnect = yes
nocolor = yes
lockconfdir = no
EOT
      }
      template {
        destination = "local/asterisk/ccss.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
EOT
      }
      template {
        destination = "local/asterisk/cdr.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
enable=yes
unanswered=no
endbeforehexten=yes
EOT
      }
      template {
        destination = "local/asterisk/cdr_custom.conf"
        change_mode = "noop"
        data        = <<EOT
[/dev/stdout]
format=json
fields="riti: call","node: pbx:granja/rivera",call(uservar),from(uservar),to(uservar),rung(uservar),taken(uservar),channel,dstchannel,start(%FT%T.%3q%z),answer(%FT%T.%3q%z),end(%FT%T.%3q%z),duration,billsec,disposition,cause(uservar)
EOT
      }
      template {
        destination = "local/asterisk/cel.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
enable=no
EOT
      }
      template {
        destination = "local/asterisk/features.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
EOT
      }
      template {
        destination = "local/asterisk/iax.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
#include "/var/run/asterisk/bind.conf"
bindport=4569
disallow=all
allow=alaw
encryption=no
delayreject=yes
jitterbuffer=no
autokill=yes

#include "/secrets/iax.conf"
EOT
      }
      template {
        destination = "local/asterisk/iaxprov.conf"
        change_mode = "noop"
        data        = <<EOT

EOT
      }
      template {
        destination = "local/asterisk/indications.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
country = uy

[uy]
description = Uruguay
ringcadence = 1000,4000
dial = 425
busy = 425/500,0/500
ring = 425/1000,0/4000
congestion = 425/250,0/250
info = 950/330,1400/330,1800/330,0/1000
EOT
      }
      template {
        destination = "local/asterisk/logger.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
dateformat = %F %T.%3q

[logfiles]
console => notice,warning,error
EOT
      }
      template {
        destination = "local/asterisk/manager.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
enabled=no
webenabled=no
bindaddr=127.0.0.1
port=5038
displayconnects=no

[watcher]
deny=0.0.0.0/0.0.0.0
permit=127.0.0.1/255.255.255.255
read=system,call
write=reporting,call
eventfilter(action(include),name(PeerStatus))=
eventfilter(action(include),name(Newchannel))=
eventfilter(action(include),name(Hangup))=

#tryinclude "/var/run/asterisk/manager.secret"
EOT
      }
      template {
        destination = "local/asterisk/modules.conf"
        change_mode = "noop"
        data        = <<EOT
[modules]
autoload=no
load = res_timing_timerfd.so
load = res_crypto.so
load = codec_ulaw.so
load = codec_alaw.so
load = codec_a_mu.so
load = codec_gsm.so
load = codec_g722.so
load = codec_resample.so
load = format_gsm.so
load = format_pcm.so
load = res_cdrel_custom.so
load = cdr_custom.so
load = bridge_simple.so
load = bridge_builtin_features.so
load = bridge_holding.so
load = bridge_softmix.so
load = func_callerid.so
load = func_cdr.so
load = func_channel.so
load = func_devstate.so
load = func_env.so
load = func_global.so
load = func_groupcount.so
load = func_hangupcause.so
load = func_logic.so
load = func_math.so
load = func_strings.so
load = func_timeout.so
load = app_dial.so
load = app_exec.so
load = app_playback.so
load = app_playtones.so
load = app_read.so
load = app_stack.so
load = app_verbose.so
load = pbx_config.so
load = chan_iax2.so
EOT
      }
      template {
        destination = "local/asterisk/stasis.conf"
        change_mode = "noop"
        data        = <<EOT

EOT
      }
      template {
        destination = "local/asterisk/udptl.conf"
        change_mode = "noop"
        data        = <<EOT
[general]
EOT
      }
      # The watcher sees a new file, has it reloaded, and acknowledges it when it is in force.
      template {
        destination = "local/asterisk/extensions.conf"
        change_mode = "noop"
        wait {
          min = "100ms"
          max = "1s"
        }
        data = <<EOT
{{- $value := key "riti/whole/pbx/granja/rivera/1" }}{{ if $value | regexMatch `^\{"files": \{"extensions\.conf": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*", "iax\.conf": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*"(, "words\.txt": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*")?\}, "format": [0-9], "secrets_version": (0|[1-9][0-9]{0,14})\}$` }}{{ with $live := parseJSON $value }}{{ index $live.files "extensions.conf" }}{{ end }}{{ else }}{{ with key "riti/whole/never" }}{{ end }}{{ end }}
EOT
      }
      # What menus say: the watcher unpacks it. A company without any has no such file in its value.
      template {
        destination = "local/asterisk/words.txt"
        change_mode = "noop"
        wait {
          min = "100ms"
          max = "1s"
        }
        data = <<EOT
{{- $value := key "riti/whole/pbx/granja/rivera/1" }}{{ if $value | regexMatch `^\{"files": \{"extensions\.conf": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*", "iax\.conf": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*"(, "words\.txt": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*")?\}, "format": [0-9], "secrets_version": (0|[1-9][0-9]{0,14})\}$` }}{{ with $live := parseJSON $value }}{{ with index $live.files "words.txt" }}{{ . }}{{ end }}{{ end }}{{ else }}{{ with key "riti/whole/never" }}{{ end }}{{ end }}
EOT
      }
      # Secrets and peers are one file, so that no reload can ever see the one without the other. Each peer is at the
      # half of its pair that its newest instance has; what is no generation moves nobody.
      template {
        destination = "secrets/iax.conf"
        perms       = "0400"
        uid         = 10001
        gid         = 10001
        change_mode = "noop"
        wait {
          min = "100ms"
          max = "1s"
        }
        data = <<EOT
{{- $value := key "riti/whole/pbx/granja/rivera/1" }}{{ if $value | regexMatch `^\{"files": \{"extensions\.conf": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*", "iax\.conf": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*"(, "words\.txt": "([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*")?\}, "format": [0-9], "secrets_version": (0|[1-9][0-9]{0,14})\}$` }}{{ with $live := parseJSON $value }}; secrets version {{ printf "%.0f" $live.secrets_version }}
{{ with secret (printf "riti/data/whole/pbx/granja/rivera?version=%.0f" $live.secrets_version) }}{{ range $name, $secret := .Data.data.iax }}[{{ $name }}-secret](!)
secret={{ $secret }}
{{ end }}{{ end }}{{ $peers := index $live.files "iax.conf" }}{{ range ls "riti/whole/generation/granja/" }}{{ if .Value | regexMatch `^."generation": [0-9]*[13579],` }}{{ $peers = $peers | replaceAll (printf "(pbx-%s-secret,pbx-%s.0)" .Key .Key) (printf "(pbx-%s-secret,pbx-%s.1)" .Key .Key) }}{{ end }}{{ end }}{{ $peers }}{{ end }}{{ else }}{{ with key "riti/whole/never" }}{{ end }}{{ end }}
EOT
      }
      kill_timeout = "1h"
      logs {
        max_files     = 2
        max_file_size = 3
      }
      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
