# The address, the folder and the token are given on the command line and in the
# environment.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "disk", disk = (path = "state", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-10-01",
  bindings = [
    (name = "TOKEN", fromEnvironment = "PEER_TOKEN"),
    (name = "TRAILS", durableObjectNamespace = "Trail"),
  ],
  durableObjectNamespaces = [(className = "Trail", uniqueKey = "trail", enableSql = true)],
  durableObjectStorage = (localDisk = "disk"),
);
