# The sync controller of the fleet demo: 3 instances, of which one leads.
# Written by `riti controller job` from fleet.yaml; what is changed here is lost at the next `riti controller run`.
job "riti-demo" {
  namespace = "riti"
  node_pool = "default"
  type      = "service"

  meta = {
    "riti.fleet" = "6f0c2f5e-9d0f-4c43-8a62-1b1f7b0f2f11"
    "riti.part"  = "controller"
  }

  # One after the other, each known to be ready; a version that does not come up goes back by itself.
  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "5s"
    healthy_deadline  = "5m"
    progress_deadline = "10m"
    auto_revert       = true
  }

  group "controller" {
    count = 3

    # On as many nodes as there are, and all on one where there is but one.
    spread {
      attribute = "${node.unique.id}"
    }

    # One that ends by itself is replaced, not started again: a new allocation gets new tokens.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      unlimited      = true
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "5m"
    }

    # Git's mirror, in MB. It is made again where it is lost, by one fetch.
    ephemeral_disk {
      size    = 1000
      sticky  = true
      migrate = true
    }

    network {
      mode = "host"
      port "http" {
        static = 8080
      }
    }

    service {
      name     = "riti-demo"
      provider = "nomad"
      port     = "http"

      check {
        name     = "healthz"
        type     = "http"
        path     = "/healthz"
        interval = "10s"
        timeout  = "5s"
        check_restart {
          limit = 3
          grace = "60s"
        }
      }

      check {
        name     = "readyz"
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "5s"
      }
    }

    consul {}

    # Vault's token is read from its file at each election, so that a new one needs no restart.
    vault {
      role        = "riti-demo-controller"
      env         = false
      change_mode = "noop"
    }

    task "controller" {
      driver = "docker"
      user   = "10001:10001"

      config {
        image = "riti/controller:1"
        args  = ["sync"]
        # Nomad's and Consul's agents listen at the node's own loopback
        network_mode    = "host"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 200
        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 67108864
            mode = 1023
          }
        }
      }

      # Nomad renews it at half its time.
      identity {
        name        = "api"
        aud         = ["nomadproject.io"]
        file        = true
        ttl         = "1h"
        change_mode = "noop"
      }

      env {
        CONSUL_HTTP_ADDR      = "http://127.0.0.1:8500"
        GIT_CONFIG_COUNT      = "1"
        GIT_CONFIG_KEY_0      = "credential.https://forge.example.helper"
        GIT_CONFIG_VALUE_0    = "!cat /secrets/git_token #"
        HOME                  = "/local"
        NOMAD_ADDR            = "http://127.0.0.1:4646"
        NOMAD_TOKEN_FILE      = "/secrets/nomad_api.jwt"
        RITI_BRANCH           = "main"
        RITI_HOOK_GITHUB_FILE = "/secrets/hook_github"
        RITI_LISTEN           = "${NOMAD_ADDR_http}"
        RITI_MIRROR           = "/alloc/data/mirror"
        RITI_NOTIFY_URL_FILE  = "/secrets/notify_url"
        RITI_POLL             = "30"
        RITI_REMOTE           = "https://forge.example/telephones.git"
        VAULT_ADDR            = "http://127.0.0.1:8200"
        VAULT_TOKEN_FILE      = "/secrets/vault_token"
      }

      template {
        destination = "secrets/git_token"
        perms       = "0400"
        uid         = 10001
        gid         = 10001
        change_mode = "noop"
        data        = <<EOT
{{ with secret "riti/data/_controller/demo" }}{{ with .Data.data.git_token }}username=git
password={{ . }}{{ end }}{{ end }}
EOT
      }

      template {
        destination = "secrets/hook_github"
        perms       = "0400"
        uid         = 10001
        gid         = 10001
        change_mode = "noop"
        data        = <<EOT
{{ with secret "riti/data/_controller/demo" }}{{ with .Data.data.hook_github }}{{ . }}{{ end }}{{ end }}
EOT
      }

      template {
        destination = "secrets/notify_url"
        perms       = "0400"
        uid         = 10001
        gid         = 10001
        change_mode = "noop"
        data        = <<EOT
{{ with secret "riti/data/_controller/demo" }}{{ with .Data.data.notify_url }}{{ . }}{{ end }}{{ end }}
EOT
      }

      # The units in hand are finished, its tokens revoked, the lock given back. A client's max_kill_timeout, 30s by
      # default, bounds it: what was not finished then is gone on with by the next one.
      kill_signal  = "SIGTERM"
      kill_timeout = "90s"

      logs {
        max_files     = 5
        max_file_size = 10
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
