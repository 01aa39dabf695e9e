-- Takes a renewed certificate while HAProxy runs. Arguments: the certificate's file, beside which its key has `.key` behind the name, and the
-- socket that takes orders.
--
-- The orders are those of HAProxy's Runtime API, since they check that the key fits: `CertCache.set`, which Lua has for this, takes a key that does not,
-- and then no handshake succeeds.

local file, socket_address = ...
-- Milliseconds between two looks. Kubernetes itself brings a changed Secret within a minute or so.
local PAUSE = 5000
-- Seconds for an answer.
local PATIENCE = 10

-- An empty line would end the text of an order.
local function read(path)
  local handle = io.open(path, "r")
  if not handle then
    return nil
  end
  local text = handle:read("a")
  handle:close()
  text = text:gsub("\r", ""):gsub("\n\n+", "\n"):gsub("^\n", "")
  return text
end

local function order(command)
  local socket = core.tcp()
  socket:settimeout(PATIENCE)
  if not socket:connect(socket_address) then
    return "HAProxy does not answer its own orders"
  end
  socket:send(command .. "\n")
  local answer = socket:receive("*a") or "no answer"
  socket:close()
  return answer
end

local function set(path, text)
  local answer = order("set ssl cert " .. path .. " <<\n" .. text .. "\n")
  return answer:find("Transaction", 1, true), answer
end

-- Both or none of them: until they are committed, what was before is shown.
local function take(certificate, key)
  local done, answer = set(file, certificate)
  if done then
    done, answer = set(file .. ".key", key)
  end
  if done then
    answer = order("commit ssl cert " .. file)
    done = answer:find("Success", 1, true)
  end
  if not done then
    order("abort ssl cert " .. file)
  end
  return done, answer
end

core.register_task(function()
  local taken, refused
  while true do
    local certificate, key = read(file), read(file .. ".key")
    local both = certificate and key and certificate .. key
    -- What came between the two reads is seen at the next look. What stands there first may be newer than what HAProxy started with.
    if both and both ~= taken and certificate == read(file) then
      local done, answer = take(certificate, key)
      if done then
        if taken or refused then
          core.log(core.notice, "a renewed certificate is in force")
        end
        taken, refused = both, nil
      elseif both ~= refused then
        refused = both
        core.log(core.err, "the certificate in " .. file .. " is refused, and the one before stays in force: " .. answer:gsub("%s+", " "))
      end
    end
    core.msleep(PAUSE)
  end
end)
