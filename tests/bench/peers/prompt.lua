-- wrk: a chat request whose body is 1 KiB.
local before = '{"model":"llama-3.1-8b","temperature":0.2,"messages":[{"role":"system","content":"You answer briefly."},{"role":"user","content":"'
local after = '"}],"max_tokens":180}'
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer none"
wrk.body = before .. string.rep("word ", 300):sub(1, 1024 - #before - #after) .. after
