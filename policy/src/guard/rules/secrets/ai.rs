//! Who serves models, data for them, and what stores their memory.

use super::{
    super::{Check, Edge, Rule},
    assigned, token,
};

pub(super) static RULES: &[Rule] = &[
    token(
        "OpenAI",
        "openai-api-key",
        "API key",
        r"sk-[0-9A-Za-z]{20}T3BlbkFJ[0-9A-Za-z]{20}",
        &["key: «sk-⟨alnum:20⟩T3BlbkFJ⟨alnum:20⟩»", "{\"k\":\"«sk-⟨alnum:20⟩T3BlbkFJ⟨alnum:20⟩»\"}"],
        &["key: sk-⟨alnum:10⟩T3BlbkFJ⟨alnum:20⟩", "key: sk-⟨repeat:x*20⟩T3BlbkFJ⟨repeat:x*20⟩"],
    ),
    token(
        "OpenAI",
        "openai-project-key",
        "key of a project, a service account or an administrator",
        r"sk-(?:proj|svcacct|admin|None)-[0-9A-Za-z_-]{20,160}",
        &["key: «sk-proj-⟨url:74⟩T3BlbkFJ⟨url:74⟩»", "{\"k\":\"«sk-proj-⟨url:74⟩T3BlbkFJ⟨url:74⟩»\"}"],
        &["sk-proj-⟨url:10⟩", "sk-proj-⟨repeat:x*48⟩", "task-proj-management-and-planning-tools"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "OpenAI",
        "openai-legacy-key",
        "key of the oldest form, which others use too",
        r"sk-[0-9A-Za-z]{48}",
        &["key: «sk-⟨alnum:48⟩»", "{\"k\":\"«sk-⟨alnum:48⟩»\"}"],
        &["key: sk-⟨alnum:24⟩", "key: sk-⟨repeat:x*48⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(40)),
    token(
        "OpenAI",
        "openai-session",
        "session key",
        r"sess-[0-9A-Za-z]{40}",
        &["key: «sess-⟨alnum:40⟩»", "{\"k\":\"«sess-⟨alnum:40⟩»\"}"],
        &["key: sess-⟨alnum:20⟩", "key: sess-⟨repeat:x*40⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(35)),
    token(
        "Anthropic",
        "anthropic-api-key",
        "API key",
        r"sk-ant-api[0-9]{2}-[0-9A-Za-z_-]{80,110}",
        &["key: «sk-ant-api03-⟨url:93⟩AA»", "{\"k\":\"«sk-ant-api03-⟨url:93⟩AA»\"}"],
        &["sk-ant-api03-⟨url:30⟩", "sk-ant-api03-⟨repeat:x*95⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "Anthropic",
        "anthropic-admin-key",
        "administrator's key or OAuth credential",
        r"sk-ant-(?:admin|oat|ort|sid)[0-9]{2}-[0-9A-Za-z_-]{80,110}",
        &["key: «sk-ant-admin01-⟨url:93⟩AA»", "{\"k\":\"«sk-ant-admin01-⟨url:93⟩AA»\"}"],
        &["sk-ant-admin01-⟨url:30⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "Hugging Face",
        "huggingface-token",
        "access credential",
        r"hf_[0-9A-Za-z]{34}",
        &["key: «hf_⟨letter:34⟩»", "{\"k\":\"«hf_⟨letter:34⟩»\"}"],
        &["key: hf_⟨letter:17⟩", "key: hf_⟨repeat:x*34⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(35)),
    token(
        "Hugging Face",
        "huggingface-org-key",
        "key of an organisation",
        r"api_org_[A-Za-z]{34}",
        &["key: «api_org_⟨letter:34⟩»", "{\"k\":\"«api_org_⟨letter:34⟩»\"}"],
        &["key: api_org_⟨letter:17⟩", "key: api_org_⟨repeat:x*34⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "Replicate",
        "replicate-token",
        "API credential",
        r"r8_[0-9A-Za-z]{37}",
        &["key: «r8_⟨alnum:37⟩»", "{\"k\":\"«r8_⟨alnum:37⟩»\"}"],
        &["key: r8_⟨alnum:18⟩", "key: r8_⟨repeat:x*37⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "Groq",
        "groq-api-key",
        "API key",
        r"gsk_[0-9A-Za-z]{52}",
        &["key: «gsk_⟨alnum:52⟩»", "{\"k\":\"«gsk_⟨alnum:52⟩»\"}"],
        &["key: gsk_⟨alnum:26⟩", "key: gsk_⟨repeat:x*52⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "Perplexity",
        "perplexity-api-key",
        "API key",
        r"pplx-[0-9A-Za-z]{48}",
        &["key: «pplx-⟨alnum:48⟩»", "{\"k\":\"«pplx-⟨alnum:48⟩»\"}"],
        &["key: pplx-⟨alnum:24⟩", "key: pplx-⟨repeat:x*48⟩"],
    )
    .check(Check::Entropy(35)),
    token(
        "xAI",
        "xai-api-key",
        "API key",
        r"xai-[0-9A-Za-z]{80}",
        &["key: «xai-⟨alnum:80⟩»", "{\"k\":\"«xai-⟨alnum:80⟩»\"}"],
        &["key: xai-⟨alnum:40⟩", "key: xai-⟨repeat:x*80⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "OpenRouter",
        "openrouter-api-key",
        "API key",
        r"sk-or-v1-[0-9a-f]{64}",
        &["key: «sk-or-v1-⟨hex:64⟩»", "{\"k\":\"«sk-or-v1-⟨hex:64⟩»\"}"],
        &["key: sk-or-v1-⟨hex:32⟩", "key: sk-or-v1-⟨repeat:0*64⟩"],
    ),
    token(
        "Fireworks AI",
        "fireworks-api-key",
        "API key",
        r"fw_[0-9A-Za-z]{22,24}",
        &["key: «fw_⟨alnum:24⟩»", "{\"k\":\"«fw_⟨alnum:24⟩»\"}"],
        &["fw_⟨alnum:10⟩"],
    )
    .edges(Edge::Word, Edge::Word)
    .check(Check::Entropy(34)),
    token(
        "NVIDIA",
        "nvidia-api-key",
        "API key",
        r"nvapi-[0-9A-Za-z_-]{64}",
        &["key: «nvapi-⟨url:64⟩»", "{\"k\":\"«nvapi-⟨url:64⟩»\"}"],
        &["key: nvapi-⟨url:32⟩", "key: nvapi-⟨repeat:x*64⟩"],
    )
    .check(Check::Entropy(40)),
    token(
        "Databricks",
        "databricks-token",
        "personal access credential",
        r"dapi[0-9a-f]{32}(?:-[0-9])?",
        &["key: «dapi⟨hex:32⟩»", "{\"k\":\"«dapi⟨hex:32⟩»\"}"],
        &["key: dapi⟨hex:16⟩", "key: dapi⟨repeat:0*32⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "LangChain",
        "langsmith-api-key",
        "LangSmith API key",
        r"ls(?:v2_)?(?:_?(?:pt|sk))?_{1,2}[0-9a-f]{32}(?:_[0-9a-f]{10})?",
        &["key: «lsv2_pt_⟨hex:32⟩_⟨hex:10⟩»", "{\"k\":\"«lsv2_pt_⟨hex:32⟩_⟨hex:10⟩»\"}"],
        &["lsv2_pt_⟨hex:8⟩"],
    )
    .edges(Edge::Word, Edge::Open),
    token(
        "Langfuse",
        "langfuse-key",
        "secret key",
        r"sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "key: «sk-lf-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»",
            "{\"k\":\"«sk-lf-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"}",
        ],
        &[
            "key: sk-lf-⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩",
            "key: sk-lf-⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩",
        ],
    ),
    assigned(
        "Cohere",
        "cohere-api-key",
        "API key",
        &["cohere", "co_api"],
        r"[0-9A-Za-z]{40}",
        &["COHERE_API_KEY=\"«⟨alnum:40⟩»\"", "\"cohereToken\": \"«⟨alnum:40⟩»\"", "the cohere key is «⟨alnum:40⟩»,"],
        &["digest ⟨alnum:40⟩", "COHERE_API_KEY=\"⟨alnum:20⟩\"", "COHERE_API_KEY=\"⟨repeat:x*40⟩\""],
    )
    .check(Check::Entropy(38)),
    assigned(
        "Mistral AI",
        "mistral-api-key",
        "API key",
        &["mistral"],
        r"[0-9A-Za-z]{32}",
        &["MISTRAL_API_KEY=\"«⟨alnum:32⟩»\"", "\"mistralToken\": \"«⟨alnum:32⟩»\"", "the mistral key is «⟨alnum:32⟩»,"],
        &["digest ⟨alnum:32⟩", "MISTRAL_API_KEY=\"⟨alnum:16⟩\"", "MISTRAL_API_KEY=\"⟨repeat:x*32⟩\""],
    )
    .check(Check::Entropy(35)),
    assigned(
        "Together AI",
        "together-api-key",
        "API key",
        &["together"],
        r"[0-9a-f]{64}",
        &["TOGETHER_API_KEY=\"«⟨hex:64⟩»\"", "\"togetherToken\": \"«⟨hex:64⟩»\"", "the together key is «⟨hex:64⟩»,"],
        &["digest ⟨hex:64⟩", "TOGETHER_API_KEY=\"⟨hex:32⟩\"", "TOGETHER_API_KEY=\"⟨repeat:0*64⟩\""],
    ),
    assigned(
        "DeepSeek",
        "deepseek-api-key",
        "API key",
        &["deepseek"],
        r"sk-[0-9a-f]{32}",
        &[
            "DEEPSEEK_API_KEY=\"«sk-⟨hex:32⟩»\"",
            "\"deepseekToken\": \"«sk-⟨hex:32⟩»\"",
            "the deepseek key is «sk-⟨hex:32⟩»,",
        ],
        &["digest sk-⟨hex:32⟩", "DEEPSEEK_API_KEY=\"sk-⟨hex:16⟩\"", "DEEPSEEK_API_KEY=\"sk-⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Alibaba Cloud",
        "dashscope-api-key",
        "key of a model service",
        &["dashscope", "qwen"],
        r"sk-[0-9a-f]{32}",
        &[
            "DASHSCOPE_API_KEY=\"«sk-⟨hex:32⟩»\"",
            "\"dashscopeToken\": \"«sk-⟨hex:32⟩»\"",
            "the dashscope key is «sk-⟨hex:32⟩»,",
        ],
        &["digest sk-⟨hex:32⟩", "DASHSCOPE_API_KEY=\"sk-⟨hex:16⟩\"", "DASHSCOPE_API_KEY=\"sk-⟨repeat:0*32⟩\""],
    ),
    assigned(
        "Stability AI",
        "stability-api-key",
        "API key",
        &["stability", "dreamstudio"],
        r"sk-[0-9A-Za-z]{48}",
        &[
            "STABILITY_API_KEY=\"«sk-⟨alnum:48⟩»\"",
            "\"stabilityToken\": \"«sk-⟨alnum:48⟩»\"",
            "the stability key is «sk-⟨alnum:48⟩»,",
        ],
        &["digest sk-⟨alnum:48⟩", "STABILITY_API_KEY=\"sk-⟨alnum:24⟩\"", "STABILITY_API_KEY=\"sk-⟨repeat:x*48⟩\""],
    )
    .check(Check::Entropy(40)),
    token(
        "ElevenLabs",
        "elevenlabs-api-key",
        "API key",
        r"sk_[0-9a-f]{48}",
        &["key: «sk_⟨hex:48⟩»", "{\"k\":\"«sk_⟨hex:48⟩»\"}"],
        &["key: sk_⟨hex:24⟩", "key: sk_⟨repeat:0*48⟩"],
    )
    .edges(Edge::Word, Edge::Word),
    assigned(
        "Deepgram",
        "deepgram-api-key",
        "API key",
        &["deepgram"],
        r"[0-9a-f]{40}",
        &["DEEPGRAM_API_KEY=\"«⟨hex:40⟩»\"", "\"deepgramToken\": \"«⟨hex:40⟩»\"", "the deepgram key is «⟨hex:40⟩»,"],
        &["digest ⟨hex:40⟩", "DEEPGRAM_API_KEY=\"⟨hex:20⟩\"", "DEEPGRAM_API_KEY=\"⟨repeat:0*40⟩\""],
    ),
    assigned(
        "AssemblyAI",
        "assemblyai-api-key",
        "API key",
        &["assemblyai", "assembly_ai"],
        r"[0-9a-f]{32}",
        &[
            "ASSEMBLYAI_API_KEY=\"«⟨hex:32⟩»\"",
            "\"assemblyaiToken\": \"«⟨hex:32⟩»\"",
            "the assemblyai key is «⟨hex:32⟩»,",
        ],
        &["digest ⟨hex:32⟩", "ASSEMBLYAI_API_KEY=\"⟨hex:16⟩\"", "ASSEMBLYAI_API_KEY=\"⟨repeat:0*32⟩\""],
    ),
    token(
        "Pinecone",
        "pinecone-api-key",
        "API key",
        r"pcsk_[0-9A-Za-z]{5,6}_[0-9A-Za-z]{63}",
        &["key: «pcsk_⟨alnum:6⟩_⟨alnum:63⟩»", "{\"k\":\"«pcsk_⟨alnum:6⟩_⟨alnum:63⟩»\"}"],
        &["key: pcsk_⟨alnum:6⟩_⟨alnum:31⟩", "key: pcsk_⟨repeat:x*6⟩_⟨repeat:x*63⟩"],
    )
    .check(Check::Entropy(38)),
    assigned(
        "Pinecone",
        "pinecone-legacy-key",
        "API key of the older form",
        &["pinecone"],
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        &[
            "PINECONE_API_KEY=\"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "\"pineconeToken\": \"«⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»\"",
            "the pinecone key is «⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩»,",
        ],
        &[
            "digest ⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:12⟩",
            "PINECONE_API_KEY=\"⟨hex:8⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:4⟩-⟨hex:6⟩\"",
            "PINECONE_API_KEY=\"⟨repeat:0*8⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*4⟩-⟨repeat:0*12⟩\"",
        ],
    )
    .check(Check::Entropy(28)),
    assigned(
        "Weaviate",
        "weaviate-api-key",
        "API key",
        &["weaviate"],
        r"[0-9A-Za-z]{36,40}",
        &[
            "WEAVIATE_API_KEY=\"«⟨alnum:36⟩»\"",
            "\"weaviateToken\": \"«⟨alnum:36⟩»\"",
            "the weaviate key is «⟨alnum:36⟩»,",
        ],
        &["digest ⟨alnum:36⟩", "WEAVIATE_API_KEY=\"⟨alnum:18⟩\"", "WEAVIATE_API_KEY=\"⟨repeat:x*36⟩\""],
    )
    .check(Check::Entropy(38)),
    assigned(
        "Weights & Biases",
        "wandb-api-key",
        "API key",
        &["wandb", "weights_and_biases"],
        r"[0-9a-f]{40}",
        &["WANDB_API_KEY=\"«⟨hex:40⟩»\"", "\"wandbToken\": \"«⟨hex:40⟩»\"", "the wandb key is «⟨hex:40⟩»,"],
        &["digest ⟨hex:40⟩", "WANDB_API_KEY=\"⟨hex:20⟩\"", "WANDB_API_KEY=\"⟨repeat:0*40⟩\""],
    ),
    token(
        "Weights & Biases",
        "wandb-v1-key",
        "API key of the newer form",
        r"wandb_v1_[0-9A-Za-z_-]{60,100}",
        &["key: «wandb_v1_⟨url:77⟩»", "{\"k\":\"«wandb_v1_⟨url:77⟩»\"}"],
        &["wandb_v1_⟨url:20⟩"],
    )
    .check(Check::Entropy(38)),
    token(
        "Tavily",
        "tavily-api-key",
        "API key",
        r"tvly-(?:dev-|prod-)?[0-9A-Za-z]{32}",
        &["key: «tvly-dev-⟨alnum:32⟩»", "{\"k\":\"«tvly-dev-⟨alnum:32⟩»\"}"],
        &["key: tvly-dev-⟨alnum:16⟩", "key: tvly-dev-⟨repeat:x*32⟩"],
    )
    .check(Check::Entropy(33)),
    token(
        "Firecrawl",
        "firecrawl-api-key",
        "API key",
        r"fc-[0-9a-f]{32}",
        &["key: «fc-⟨hex:32⟩»", "{\"k\":\"«fc-⟨hex:32⟩»\"}"],
        &["key: fc-⟨hex:16⟩", "key: fc-⟨repeat:0*32⟩"],
    )
    .edges(Edge::Name, Edge::Name),
    token(
        "Jina AI",
        "jina-api-key",
        "API key",
        r"jina_[0-9a-f]{32}[0-9A-Za-z_-]{28}",
        &["key: «jina_⟨hex:32⟩⟨url:28⟩»", "{\"k\":\"«jina_⟨hex:32⟩⟨url:28⟩»\"}"],
        &["key: jina_⟨hex:16⟩⟨url:28⟩", "key: jina_⟨repeat:0*32⟩⟨repeat:x*28⟩"],
    )
    .check(Check::Entropy(33)),
    token(
        "Voyage AI",
        "voyage-api-key",
        "API key",
        r"pa-[0-9A-Za-z_-]{43}",
        &["key: «pa-⟨url:43⟩»", "{\"k\":\"«pa-⟨url:43⟩»\"}"],
        &["key: pa-⟨url:21⟩", "key: pa-⟨repeat:x*43⟩"],
    )
    .edges(Edge::Name, Edge::Name)
    .check(Check::Entropy(42)),
    assigned(
        "AI21 Labs",
        "ai21-api-key",
        "API key",
        &["ai21"],
        r"[0-9A-Za-z]{32}",
        &["AI21_API_KEY=\"«⟨alnum:32⟩»\"", "\"ai21Token\": \"«⟨alnum:32⟩»\"", "the ai21 key is «⟨alnum:32⟩»,"],
        &["digest ⟨alnum:32⟩", "AI21_API_KEY=\"⟨alnum:16⟩\"", "AI21_API_KEY=\"⟨repeat:x*32⟩\""],
    )
    .check(Check::Entropy(35)),
    token(
        "Cerebras",
        "cerebras-api-key",
        "API key",
        r"csk-[0-9a-z]{48}",
        &["key: «csk-⟨lower:48⟩»", "{\"k\":\"«csk-⟨lower:48⟩»\"}"],
        &["key: csk-⟨lower:24⟩", "key: csk-⟨repeat:x*48⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(35)),
    token(
        "Modal",
        "modal-token",
        "credential",
        r"a[ks]-[0-9A-Za-z]{22}",
        &["key: «ak-⟨alnum:22⟩»", "{\"k\":\"«ak-⟨alnum:22⟩»\"}"],
        &["key: ak-⟨alnum:11⟩", "key: ak-⟨repeat:x*22⟩"],
    )
    .edges(Edge::Name, Edge::Name)
    .check(Check::Entropy(35)),
    token(
        "RunPod",
        "runpod-api-key",
        "API key",
        r"rpa_[0-9A-Z]{36,44}[0-9a-z]{0,8}",
        &["key: «rpa_⟨upper:40⟩»", "{\"k\":\"«rpa_⟨upper:40⟩»\"}"],
        &["rpa_⟨upper:12⟩"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Entropy(33)),
];
