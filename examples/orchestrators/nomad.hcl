# The example service on Nomad with its Docker driver, as hardened as the role's own container: nomad job run nomad.hcl
job "cat-server" {
  type = "service"

  update {
    # As the role does it: the old one goes when the new one is healthy, and comes back where it is not.
    max_parallel     = 1
    canary           = 1
    auto_promote     = true
    auto_revert      = true
    health_check     = "checks"
    min_healthy_time = "1s"
    healthy_deadline = "1m"
  }

  group "cat-server" {
    count = 2

    network {
      port "http" {
        to = 8080
      }
    }

    service {
      name     = "cat-server"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/health"
        interval = "10s"
        timeout  = "3s"
      }
    }

    task "cat-server" {
      driver       = "docker"
      user         = "10001:10001"
      kill_timeout = "10s"

      config {
        # By its digest, as playbooks/publish.yml tells it; a tag may move.
        image           = "registry.example.com/team/cat-server@sha256:0000000000000000000000000000000000000000000000000000000000000000"
        ports           = ["http"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 128

        mount {
          type   = "tmpfs"
          target = "/tmp"
          tmpfs_options {
            size = 16777216
            mode = 1023
          }
        }
      }

      env {
        PORT = "8080"
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }
  }
}
