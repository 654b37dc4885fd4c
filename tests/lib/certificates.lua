-- Authorities and certificates of a test, made by openssl in a folder: ca and stranger (authorities), server (for
-- localhost and 127.0.0.1), other (for other.example.org), client: each NAME.pem and NAME.key.

local M = {}

function M.make(folder)
  local function openssl(command)
    assert(os.execute(("cd %s && openssl %s >>openssl.log 2>&1"):format(folder, command)) == 0, command)
  end
  local key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    .. " -keyout %s.key -out %s.pem -subj /CN=%s"
  for _, ca in ipairs({ "ca", "stranger" }) do openssl(key:format(ca, ca, ca)) end
  local signed = key .. " -CA ca.pem -CAkey ca.key -addext %s -addext basicConstraints=critical,CA:false"
  openssl(signed:format("server", "server", "localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1"))
  openssl(signed:format("other", "other", "other", "subjectAltName=DNS:other.example.org"))
  openssl(signed:format("client", "client", "web07", "extendedKeyUsage=clientAuth"))
end

return M
