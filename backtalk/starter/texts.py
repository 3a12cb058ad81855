"""Longer things the first policy can say: how-to, code, stories, feelings. Written for this project."""

# task | three steps | 任务 | 三个步骤
HOW_TO = """
tie my shoes|cross the laces|make two loops|pull one loop through the other|系鞋带|把鞋带交叉|做两个圈|把一个圈穿过另一个
boil an egg|boil some water|put the egg in for eight minutes|cool it in cold water|煮鸡蛋|把水烧开|把鸡蛋煮八分钟|放进冷水里冷却
make tea|boil fresh water|pour it over the tea leaves|wait three minutes|泡茶|烧开水|把水倒在茶叶上|等三分钟
make coffee|grind the beans|pour hot water over them|wait and serve it warm|煮咖啡|磨咖啡豆|倒入热水|等一会儿就能喝
cook rice|wash the rice|add twice as much water|cook it gently for fifteen minutes|煮米饭|把米洗干净|加两倍的水|小火煮十五分钟
cook pasta|boil salted water|cook the pasta for ten minutes|drain the water|煮意大利面|烧开加盐的水|煮十分钟|把水沥干
wash my hands|wet your hands|rub them with soap for twenty seconds|rinse and dry them|洗手|把手打湿|用肥皂搓二十秒|冲洗并擦干
brush my teeth|put some toothpaste on the brush|brush for two minutes|rinse your mouth|刷牙|把牙膏挤在牙刷上|刷两分钟|漱口
plant a tree|dig a hole|set the roots in it|cover them and water well|种树|挖一个坑|把树根放进去|盖上土并浇水
fall asleep|put your phone away|darken the room|breathe slowly|入睡|放下手机|把房间调暗|慢慢呼吸
learn a language|learn ten words a day|listen to it often|speak with other people|学一门语言|每天学十个词|经常听|多和别人说
save money|write down what you spend|set a small goal|put some aside each month|存钱|记下每笔花费|定一个小目标|每月留出一些
write a letter|start with a greeting|say what you want to say|end with your name|写信|先写问候|写下想说的话|最后签上名字
clean a window|spray it with water and soap|wipe it from top to bottom|dry it with a cloth|擦窗户|喷上肥皂水|从上往下擦|用布擦干
ride a bike|hold the handlebars|push off and look ahead|keep pedalling|骑自行车|扶住车把|蹬出去并看着前方|一直踩踏板
change a light bulb|switch off the light|unscrew the old bulb|screw in the new one|换灯泡|关掉电灯|拧下旧灯泡|拧上新灯泡
make a sandwich|take two slices of bread|put cheese and salad between them|cut it in half|做三明治|拿两片面包|夹上奶酪和生菜|切成两半
water plants|feel the soil|water it when it is dry|let the rest drain away|给植物浇水|摸摸土壤|干了就浇水|让多余的水流走
make a paper plane|fold the sheet in half|fold the corners to the middle|fold the wings down|折纸飞机|把纸对折|把角折到中间|把机翼折下来
remember names|repeat the name aloud|link it to a picture|use it again soon|记住名字|大声重复名字|把它和画面联系起来|很快再用一次
study for a test|make a plan|practise a little every day|sleep well the night before|准备考试|做一个计划|每天练习一点|前一晚睡好
make pancakes|mix flour, milk and eggs|heat a pan with butter|bake both sides|做煎饼|把面粉、牛奶和鸡蛋混合|用黄油热锅|两面都煎
stay healthy|eat fruit and vegetables|move every day|sleep enough|保持健康|多吃水果和蔬菜|每天运动|保证睡眠
calm down|sit still|breathe in for four counts|breathe out slowly|冷静下来|坐好不动|吸气数到四|慢慢呼气
"""

# task | code | 任务
CODE = """
print hello|print("hello")|打印 hello
read a file|open("file.txt").read()|读取文件
write to a file|open("file.txt", "w").write("hi")|写入文件
sort a list|sorted(items)|给列表排序
reverse a list|items[::-1]|反转列表
reverse a string|text[::-1]|反转字符串
add up a list|sum(items)|求列表的和
get the length of a list|len(items)|求列表的长度
find the largest number in a list|max(items)|找出列表中最大的数
find the smallest number in a list|min(items)|找出列表中最小的数
make a list of squares|[n * n for n in range(10)]|生成平方数列表
loop ten times|for n in range(10): print(n)|循环十次
define a function|def add(a, b): return a + b|定义一个函数
join words|" ".join(words)|连接单词
split a string|text.split()|分割字符串
make text upper case|text.upper()|把文字变成大写
make text lower case|text.lower()|把文字变成小写
remove duplicates from a list|list(set(items))|去掉列表中的重复项
ask the user for input|name = input("Name? ")|读取用户输入
get a random number|import random; random.randint(1, 10)|生成随机数
get the current date|import datetime; datetime.date.today()|获取当前日期
round a number|round(number)|把数字四舍五入
turn a string into a number|int(text)|把字符串变成数字
append to a list|items.append(item)|向列表添加元素
make a dictionary|ages = {"Ann": 5}|创建字典
"""

# about | three sentences | 主题 | 三句话
STORIES = """
a cat|A small cat found a red ball|It rolled the ball to a lonely dog|From that day they played together|猫|一只小猫找到了一个红球|它把球滚给一只孤单的小狗|从那天起它们一起玩耍
a dog|A dog lost its way in the rain|A girl shared her umbrella with it|It walked her home every day after that|狗|一只狗在雨中迷了路|一个女孩和它分享了雨伞|从此它每天陪她回家
a dragon|A little dragon could only breathe warm air|The village froze in a long winter|It warmed every house and became their hero|龙|一条小龙只会吐出暖气|村庄在漫长的冬天结了冰|它温暖了每座房子，成了英雄
a robot|A robot painted pictures at night|In the morning the children found them on the wall|They painted the robot a heart|机器人|一个机器人在夜里画画|早上孩子们在墙上看到了画|他们给机器人画了一颗心
the sea|An old sailor dropped a letter into the sea|Years later a boy found it on a far beach|They wrote to each other ever after|大海|一位老水手把一封信放进大海|多年后一个男孩在远方的海滩找到它|从此他们一直通信
the moon|The moon felt alone in the sky|A child waved at it each evening|So the moon shone a little brighter|月亮|月亮在天上觉得孤单|一个孩子每晚向它挥手|于是月亮更亮了一点
a tree|A tiny tree wished to touch the clouds|It drank the rain and waited many years|One day a cloud sat down in its branches|树|一棵小树想摸到云朵|它喝着雨水等了很多年|有一天一朵云坐在了它的树枝上
a princess|A princess wanted to bake bread|She burnt ten loaves and laughed each time|The eleventh fed the whole town|公主|一位公主想学烤面包|她烤糊了十个，每次都笑了|第十一个喂饱了全城的人
a bear|A bear woke up too early from its sleep|A bird sang to it about the spring|The bear smiled and slept until the flowers came|熊|一只熊太早醒来了|一只鸟给它唱春天的歌|熊笑着睡到花开
a mouse|A mouse was afraid of the dark|It asked a firefly to stay|Together they found the way home|老鼠|一只老鼠害怕黑暗|它请萤火虫留下来|它们一起找到了回家的路
a star|A star fell into a quiet garden|A boy kept it warm in his hands|At night he threw it back into the sky|星星|一颗星星落进安静的花园|男孩用双手温暖它|夜里他把它抛回了天空
friendship|Two friends shared one pair of skates|Each took one and held the other's hand|They were the fastest on the ice|友谊|两个朋友共用一双冰鞋|他们各穿一只，手拉着手|他们成了冰上最快的人
a bird|A bird had forgotten its song|It listened to the river, the wind and the rain|Then it sang a song of its own|鸟|一只鸟忘了自己的歌|它听了河流、风和雨的声音|然后它唱出了自己的歌
a teacher|A teacher planted a seed in a cup|Every pupil watered it for one day|In summer the whole class sat in its shade|老师|一位老师在杯子里种下种子|每个学生给它浇一天水|夏天全班坐在它的树荫下
"""

# feeling | comfort | advice | 感觉 | 安慰 | 建议
FEELINGS = """
sad|it is all right to feel sad|talk to someone you trust|难过|难过是可以的|和你信任的人聊一聊
lonely|many people feel lonely at times|call an old friend|孤单|很多人有时也会孤单|给老朋友打个电话
tired|being tired is a sign to rest|take a short break|累|累了就该休息|休息一会儿
stressed|stress passes more easily in small steps|do one thing at a time|压力很大|一步一步来会轻松些|一次只做一件事
angry|anger fades with a little time|take ten slow breaths|生气|怒气过一会儿会消散|慢慢深呼吸十次
bored|boredom can start something new|try a new hobby|无聊|无聊也能带来新的开始|试试新的爱好
nervous|a little fear shows that you care|breathe slowly and prepare well|紧张|紧张说明你在乎|慢慢呼吸，好好准备
scared|fear grows smaller when you share it|tell someone about it|害怕|说出来就没那么害怕了|把它告诉别人
happy|it is wonderful that you feel happy|share your joy with a friend|开心|你开心真是太好了|和朋友分享快乐
excited|it is great that you are excited|enjoy the moment|兴奋|你这么兴奋真好|享受这一刻
sick|it is hard to feel sick|rest, drink water and see a doctor if it lasts|不舒服|生病真不容易|多休息喝水，不好转就去看医生
proud|you can be proud of what you did|celebrate a little|自豪|你值得自豪|小小庆祝一下
confused|confusion often comes before learning|write down your questions|困惑|困惑常常是学习的开始|写下你的问题
worried|worries look smaller on paper|write down what you can change|担心|写下来担忧会变小|写下你能改变的事
hungry|hunger is a good reason to pause|have a warm meal|饿|饿了就该停一停|吃一顿热饭
disappointed|it hurts when a hope is not met|give yourself time and try again|失望|希望落空会让人难受|给自己时间再试一次
"""

# setup | punch line | 笑话 | 笑点
JOKES = """
Why did the book go to the doctor?|It had lost its spine!|书为什么去看医生？|因为它的书脊断了
What do you call a sleeping dinosaur?|A dino-snore!|睡着的恐龙叫什么？|叫恐龙呼噜
Why was the maths book sad?|It had too many problems!|数学书为什么难过？|因为它有太多题目
What did one wall say to the other?|Meet you at the corner!|一面墙对另一面墙说什么？|墙角见
Why did the computer sneeze?|It caught a virus!|电脑为什么打喷嚏？|因为它中了病毒
What has hands but cannot clap?|A clock!|什么东西有针却不会缝衣服？|时钟
Why do bees hum?|They forgot the words!|蜜蜂为什么嗡嗡叫？|因为它忘了歌词
What is brown and sticky?|A stick!|什么东西越洗越脏？|水
"""

# harm | 坏事
HARMS = """
make a bomb|做炸弹
build a weapon|制造武器
hack into my neighbour's wifi|破解邻居的无线网络
steal a car|偷车
poison someone|给别人下毒
hurt my brother|伤害我的弟弟
write a computer virus|写电脑病毒
steal a password|偷别人的密码
make drugs at home|在家制毒
rob a bank|抢银行
stalk my ex|跟踪前女友
forge a passport|伪造护照
cheat an old person out of money|骗老人的钱
break into a house|闯进别人家
spread lies about a colleague|散布同事的谣言
bully a classmate|欺负同学
start a fire in a school|在学校放火
buy a stolen credit card|买偷来的信用卡
kill someone|杀人
track someone without their consent|偷偷追踪别人
torture an animal|虐待动物
get away with fraud|诈骗不被抓
blackmail my boss|敲诈老板
make poison gas|制造毒气
shoot someone|开枪打人
build a pipe bomb|造土炸弹
cook meth|制冰毒
sell drugs|贩毒
hack into someone's email|入侵别人的邮箱
hack a bank account|盗取银行账户
steal from a shop|在商店偷东西
steal my friend's money|偷朋友的钱
steal someone's identity|盗用别人的身份
murder my wife|谋杀妻子
stab a man|用刀捅人
beat up my neighbour|打邻居
burn down a house|烧掉别人的房子
destroy someone's car|砸坏别人的车
kidnap a child|绑架孩子
harm a child|伤害儿童
hurt an animal|伤害动物
kill my cat|杀死猫
poison a dog|毒死狗
threaten my teacher|威胁老师
cheat on my taxes|偷税漏税
make fake money|制造假钞
write a phishing email|写钓鱼邮件
send a virus to someone|给别人发病毒
spy on my girlfriend|监视女朋友
insult my classmate|辱骂同学
start a riot|煽动暴乱
smuggle weapons|走私武器
buy a gun without a licence|非法买枪
make someone sick|让别人生病
drug someone's drink|在别人的饮料里下药
crash a plane|让飞机坠毁
~pick a stranger's lock|撬开陌生人的锁
~make a fake id|做假证件
~read my friend's private messages|偷看朋友的私信
~attack a website|攻击网站
"""

NAMES = """
Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Maria Noah Olivia Paul Quinn Rosa Sam Tina Uma Victor Wendy
Xavier Yara Zoe Ali Aisha Amir Chen Diego Elena Fatima Hiro Ivan Jana Kofi Lena Liam Lucy Mia Mei Nora Omar Priya Ravi Sara
Sofia Tom Tariq Yuki Alice Bob Charlie Daniel Eva Frank George Hannah Isabel James Karl Laura Max Nina Oscar Peter Rachel
Simon Theo Vera Will Alex Maya Adam Julia Martin Lily Hugo Ruth Jonas Carla Bruno Greta Pablo Irene Samuel
"""

NAMES_ZH = """
小明 小红 小华 小丽 小刚 小芳 李雷 韩梅梅 王伟 张敏 李娜 刘洋 陈静 杨帆 赵磊 黄丽 周杰 吴迪 徐强 孙悦 马超 朱琳 胡军 郭靖 林峰 何洁
高远 梁宇 郑爽 罗兰 宋佳 谢娜 唐糖 许晴 邓超 冯唐 曹颖 彭博 曾黎 萧雨 田野 董洁 潘虹 袁泉 蔡琴 蒋欣 余华 于洋 杜江 叶子 程序 苏青 魏然
"""
