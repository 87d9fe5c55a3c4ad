-- wrk: a chat request whose body is 1 KiB, each with the credential of another caller.
local directory = os.getenv("BENCH_DIRECTORY")
local file = io.open(directory .. "/prompt.json")
local prompt = file:read("*a")
file:close()
local requests, turn = {}, 0
function init(args)
  for credential in io.lines(directory .. "/credentials") do
    local headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. credential}
    requests[#requests + 1] = wrk.format("POST", "/v1/chat/completions", headers, prompt)
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
