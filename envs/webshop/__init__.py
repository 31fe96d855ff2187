"""WebShop: buying what an instruction asks for, by text.

The pages, actions, goals and scores are those of WebShop (Yao et al. 2022, arXiv 2207.01206) as AgentGym serves it,
over WebShop's own data files or a bundled catalogue of made-up products. Nothing is loaded before `envs.webshop.env`
is imported; that needs tantivy (the extra `webshop`).
"""
