-- wrk: each request goes to a route picked at random. Half of the routes differ by host, half by path.
local count = tonumber(os.getenv("BENCH_ROUTES"))
local by_host, by_path = {}, {}
function request()
  local route = math.random(0, count - 1)
  if route % 2 == 0 then
    return wrk.format("GET", "/", {["Host"] = "s" .. route .. ".bench.example"})
  end
  return wrk.format("GET", "/r" .. route .. "/things", {["Host"] = "bench.example"})
end
